//! Two sdgroups and the address that keepalived moves between them, each in a network namespace of its own, with the
//! Director, the Client and the storages in a third.

use crate::host::{read, recipes};
use crate::lab::daemon::Daemon;
use crate::lab::packages;
use crate::lab::ports::Port;
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};
use crate::site::measured;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Set for the test that makes networks, in the namespace where it may.
const INSIDE: &str = "SDGROUP_TEST_IN_NAMESPACE";
const SITE: &str = "10.77.0.1";
const VIRTUAL: &str = "10.77.0.100";
const MOVED_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn the_address_moves_when_an_sdgroup_is_lost() {
    // As root in earnest: keepalived changes its groups before each check, which nobody may in a namespace of his own.
    let is_allowed = Command::new("unshare").args(["--net", "--mount", "true"]).status();
    if !is_allowed.is_ok_and(|status| status.success()) {
        println!("this user may make no network: nothing tried");
        return;
    }
    // There is no way to Debian's archive from in there.
    network_program(0);
    packages::Root::of(crate::BACULA).unwrap_or_else(|error| panic!("{error}"));
    let here = std::env::current_exe().expect("this program");
    let mut apart = Command::new("unshare");
    apart.args(["--net"]).arg(here);
    apart.args([
        "--exact",
        "address::in_a_network_of_its_own",
        "--ignored",
        "--nocapture",
    ]);
    let output = apart.env(INSIDE, "yes").output().expect("unshare");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    println!("{said}");
    assert!(
        output.status.success() && said.contains("1 passed"),
        "in the namespace:\n{said}"
    );
}

#[test]
#[ignore = "the_address_moves_when_an_sdgroup_is_lost runs it in a network namespace"]
fn in_a_network_of_its_own() {
    assert!(
        std::env::var_os(INSIDE).is_some(),
        "run the_address_moves_when_an_sdgroup_is_lost"
    );
    let mut plan = Plan::with_policy("RoundRobin");
    plan.storages = 2;
    let source = plan.tree("Docs", 841);
    let mut gates = [plan.gate("Cut"), plan.gate("Spared")];
    ip(&["link", "set", "lo", "up"]);
    let mut lab = plan.start(crate::SDGROUP);
    let port = lab.sdgroup().address().port();
    let [mut first, mut second] = two_machines(&mut lab);
    lead_to(&mut lab, port);

    // The one with the higher priority has it; jobs run.
    first.sdgroup.spawn();
    second.sdgroup.spawn();
    let machines = [&first, &second];
    for machine in machines {
        wait::until("sdgroup to be ready", MOVED_WITHIN, || machine.is_ready().then_some(()));
    }
    first.keepalived.spawn();
    first.must_get_the_address();
    second.keepalived.spawn();
    let before = lab.job("Docs", "Full");
    before.must_be_ok();
    second.pull_ledger(&first);
    let cut = lab.run_job("Cut", "Full");
    gates[0].feed(1_000_000, JOB_WITHIN);

    // It is lost: the address is at the other one, and so is the next job.
    let lost = Instant::now();
    first.sdgroup.kill();
    second.must_get_the_address();
    measured("move of sdgroup's address", lost);
    let [gate, mut spared] = gates;
    gate.open();
    lab.wait(cut).must_have_failed();
    let after = lab.job("Docs", "Full");
    lab.must_restore(&[before.id], &source, &checksum(&source));
    lab.must_restore(&[after.must_be_ok().id], &source, &checksum(&source));

    // It comes back, and takes nothing away from the other.
    let running = lab.run_job("Spared", "Full");
    spared.feed(1_000_000, JOB_WITHIN);
    first.sdgroup.spawn();
    wait::until("sdgroup to be ready", MOVED_WITHIN, || first.is_ready().then_some(()));
    first.pull_ledger(&second);
    wait::until("keepalived to see it", MOVED_WITHIN, || {
        first.keepalived.printed().matches("succeeded").nth(1).map(drop)
    });
    assert!(second.has_the_address() && !first.has_the_address());
    spared.open();
    lab.wait(running).must_be_ok();
    assert!(first.ledger().contains(&after.volumes[0]), "{}", first.ledger());
    moves_the_directors_address(&first);
}

/// That of the consoles, which no keepalived looks after.
fn moves_the_directors_address(machine: &Machine) {
    let settings = read("ha.conf.example") + "ADDRESS=\"10.77.0.200/24\"\nADDRESS_DEVICE=\"eth0\"\n";
    fs::write(machine.folder.join("ha.conf"), settings).expect("ha.conf");
    for (word, is_here) in [("here", true), ("here", true), ("away", false), ("away", false)] {
        let mut command = inside(&machine.holder, &recipes().join("director/move-address"));
        must(command.arg(word).env("HA_CONF", machine.folder.join("ha.conf")));
        assert_eq!(machine.addresses().contains(" 10.77.0.200/24"), is_here, "{word}");
    }
}

#[test]
fn the_check_says_whether_jobs_are_taken() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.storages = 1;
    let mut gate = plan.gate("Long");
    let mut lab = plan.start(crate::SDGROUP);
    let metrics = lab.sdgroup().metrics_address();
    let is_ready = || {
        let mut check = Command::new(recipes().join("sdgroup/check-ready"));
        check.args([metrics.ip().to_string(), metrics.port().to_string()]);
        check.stderr(Stdio::null()).status().expect("check-ready").success()
    };

    assert!(is_ready());
    // One that drains runs its jobs to their end, and has no more to do with the address.
    let job = lab.run_job("Long", "Full");
    gate.feed(1_000_000, JOB_WITHIN);
    lab.sdgroup().terminate();
    wait::until("sdgroup to drain", MOVED_WITHIN, || (!is_ready()).then_some(()));
    assert!(lab.sdgroup().is_running());
    gate.open();
    lab.wait(job).must_be_ok();
    lab.sdgroup().wait_for_end(JOB_WITHIN).expect("its end");
    assert!(!is_ready());
}

/// A machine: a namespace with sdgroup and keepalived.
struct Machine {
    holder: Child,
    folder: PathBuf,
    sdgroup: Daemon,
    keepalived: Daemon,
}

impl Machine {
    fn new(lab: &Lab, number: u8, template: &str) -> Self {
        let folder = lab.folder().join(format!("machine{number}"));
        fs::create_dir_all(folder.join("state")).expect("the machine's folder");
        let holder = namespace();
        let (ours, theirs) = (format!("10.77.0.1{number}"), format!("10.77.0.1{}", 3 - number));
        let (pid, up) = (holder.id().to_string(), format!("up{number}"));
        ip(&[
            "link", "add", "name", &up, "type", "veth", "peer", "name", "eth0", "netns", &pid,
        ]);
        ip(&["link", "set", &up, "master", "site", "up"]);
        for words in [
            "link set lo up",
            &format!("address add {ours}/24 dev eth0"),
            "link set eth0 up",
        ] {
            let mut command = inside(&holder, &network_program(1));
            must(command.args(words.split(' ')));
        }

        let state = lab.folder().join("sdgroup/state").display().to_string();
        let text = template.replace(&state, &folder.join("state").display().to_string());
        fs::write(folder.join("sdgroup.toml"), text).expect("sdgroup.toml");
        assert!(
            Command::new("chmod")
                .arg("0600")
                .arg(folder.join("sdgroup.toml"))
                .status()
                .expect("chmod")
                .success()
        );
        let mut command = inside(&holder, Path::new(crate::SDGROUP));
        command.args(["run", "-c"]).arg(folder.join("sdgroup.toml"));
        let sdgroup = Daemon::new("sdgroup", &command, Port::choose(), &folder);

        fs::write(folder.join("keepalived.conf"), keepalived_conf(number, &ours, &theirs)).expect("keepalived.conf");
        let mut command = inside(&holder, Path::new("unshare"));
        command.args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc && exec \"$@\""]);
        command.arg(own_etc(&folder)).arg(network_program(0));
        command.args(["--dont-fork", "--log-console", "--log-detail", "--vrrp", "--use-file"]);
        command.arg(folder.join("keepalived.conf"));
        command
            .arg("--pid")
            .arg(folder.join("pid"))
            .arg("--vrrp_pid")
            .arg(folder.join("vrrp.pid"));
        let keepalived = Daemon::new("keepalived", &command, Port::choose(), &folder);
        Self {
            holder,
            folder,
            sdgroup,
            keepalived,
        }
    }

    /// The recipe's check.
    fn is_ready(&self) -> bool {
        let mut check = inside(&self.holder, &recipes().join("sdgroup/check-ready"));
        check.stderr(Stdio::null()).status().expect("check-ready").success()
    }

    fn has_the_address(&self) -> bool {
        self.addresses().contains(&format!(" {VIRTUAL}/"))
    }

    fn addresses(&self) -> String {
        let output = inside(&self.holder, &network_program(1))
            .args(["-brief", "address"])
            .output();
        String::from_utf8_lossy(&output.expect("ip").stdout).into_owned()
    }

    fn must_get_the_address(&self) {
        let look = || self.has_the_address().then_some(());
        wait::until_or("the address", MOVED_WITHIN, look, || self.keepalived.printed());
    }

    /// Runs the recipe of the timer.
    fn pull_ledger(&self, other: &Self) {
        let volumes = |machine: &Self, words: &str| {
            format!(
                "{} volumes {words} -c {}",
                crate::SDGROUP,
                machine.folder.join("sdgroup.toml").display()
            )
        };
        let settings = format!(
            "SDGROUP_ADDRESS=\"{VIRTUAL}\"\nLEDGER_FETCH=\"{}\"\nLEDGER_IMPORT=\"{}\"\n",
            volumes(other, "list --csv"),
            volumes(self, "import --force -")
        );
        fs::write(self.folder.join("ha.conf"), read("ha.conf.example") + &settings).expect("ha.conf");
        let mut command = inside(&self.holder, &recipes().join("sdgroup/pull-ledger"));
        must(command.env("HA_CONF", self.folder.join("ha.conf")));
    }

    fn ledger(&self) -> String {
        let mut command = Command::new(crate::SDGROUP);
        let output = command
            .args(["volumes", "list", "-c"])
            .arg(self.folder.join("sdgroup.toml"))
            .output();
        String::from_utf8_lossy(&output.expect("sdgroup volumes list").stdout).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.keepalived.is_running() {
            // It ends its own child.
            self.keepalived.stop();
        }
        self.sdgroup.kill();
        let _gone_already = self.holder.kill();
        let _status = self.holder.wait();
    }
}

/// What keepalived and its check read of /etc: Debian's package has a file there without which it does not start.
fn own_etc(folder: &Path) -> PathBuf {
    let etc = folder.join("etc");
    fs::create_dir_all(etc.join("keepalived")).expect("a folder");
    let package = network_program(0).with_file_name("../../etc/keepalived");
    let options = "keepalived.config-opts";
    fs::copy(package.join(options), etc.join("keepalived").join(options)).expect("keepalived's own file");
    for name in ["passwd", "group"] {
        fs::copy(Path::new("/etc").join(name), etc.join(name)).expect("the machine's users");
    }
    etc
}

/// The recipe's file as on the machine of this number.
fn keepalived_conf(number: u8, ours: &str, theirs: &str) -> String {
    let mut text = read("sdgroup/keepalived.conf");
    for (from, to) in [
        // A tree of sources may be writable by others than root, or closed to nobody.
        ("    enable_script_security\n", ""),
        ("script_user nobody", "script_user root"),
        ("/usr/local/lib/sdgroup-ha", &recipes().display().to_string()),
        ("192.0.2.21", ours),
        ("192.0.2.22", theirs),
        ("192.0.2.20/24", &format!("{VIRTUAL}/24")),
        ("priority 101", &format!("priority {}", 102 - number)),
    ] {
        assert!(text.contains(from), "no {from:?} in keepalived.conf");
        text = text.replace(from, to);
    }
    text
}

/// The bridge, and a machine at each of two of its ports. The lab's own sdgroup gives its configuration, and ends.
fn two_machines(lab: &mut Lab) -> [Machine; 2] {
    ip(&["link", "add", "site", "type", "bridge"]);
    ip(&["address", "add", &format!("{SITE}/24"), "dev", "site"]);
    ip(&["link", "set", "site", "up"]);
    let metrics = lab.sdgroup().metrics_address().to_string();
    let text = fs::read_to_string(lab.sdgroup().configuration()).expect("sdgroup.toml");
    let text = text.replace(&metrics, "127.0.0.1:9105");
    let text = text.replace(
        "[[Listen]]\nAddress = \"127.0.0.1\"",
        "[[Listen]]\nAddress = \"0.0.0.0\"",
    );
    let text = text.replace("\nAddress = \"127.0.0.1\"", &format!("\nAddress = \"{SITE}\""));
    lab.sdgroup().kill();
    [1, 2].map(|number| Machine::new(lab, number, &text))
}

/// Lets the Director use the virtual address, and the storages hear what comes from other machines.
fn lead_to(lab: &mut Lab, port: u16) {
    let files: Vec<_> = lab
        .storages()
        .iter()
        .map(|storage| storage.folder.join("bacula-sd.conf"))
        .collect();
    for file in files {
        change(&file, "SDAddress = 127.0.0.1", "SDAddress = 0.0.0.0");
    }
    for name in ["File4", "File5"] {
        lab.storage(name).restart();
    }
    let own = format!("Address = 127.0.0.1\n  SDPort = {port}\n");
    let virtual_one = format!("Address = {VIRTUAL}\n  SDPort = {port}\n");
    change(&lab.folder().join("dir/bacula-dir.conf"), &own, &virtual_one);
    lab.director().restart();
}

fn change(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("a configuration");
    assert!(text.contains(from), "no {from:?} in\n{text}");
    fs::write(file, text.replace(from, to)).expect("a configuration");
}

/// A process that keeps a network namespace, until it is killed.
fn namespace() -> Child {
    let mut command = Command::new("setpriv");
    command.args([
        "--pdeathsig",
        "KILL",
        "unshare",
        "--net",
        "sh",
        "-c",
        "echo; exec sleep infinity",
    ]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("unshare");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("what it says"))
        .read_line(&mut line)
        .expect("a line");
    child
}

/// A command in that namespace, with the lab's `ip` in front of the machine's.
fn inside(holder: &Child, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net=/proc/{}/ns/net", holder.id()))
        .arg("--")
        .arg(program);
    let ip = network_program(1);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", ip.parent().expect("its folder").display()));
    command
}

/// `keepalived` (0) and `ip` (1).
fn network_program(which: usize) -> PathBuf {
    packages::network_programs().unwrap_or_else(|error| panic!("{error}"))[which].clone()
}

fn ip(words: &[&str]) {
    must(Command::new(network_program(1)).args(words));
}

fn must(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&said)
    );
}
