//! What an operator types at the Director's console, with real storages behind sdgroup that have a device, a media type
//! and a changer of their own each.

use crate::SDGROUP;
use crate::lab::vault::{SLOTS, barcode};
use crate::lab::{JOB_WITHIN, Lab, Plan, Words, tree, wait};
use std::time::{Duration, Instant};

const NAMES: [&str; 3] = ["File4", "File5", "File6"];

fn plan() -> Plan {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.vaults = true;
    plan.words = Words::Own;
    plan
}

/// Types one command.
fn typed(lab: &Lab, command: &str) -> String {
    lab.console(&[command])
}

/// That each of `words` is printed, in this order.
fn must_print(printed: &str, words: &[impl AsRef<str>]) {
    let mut rest = printed;
    for words in words {
        let words = words.as_ref();
        let Some((_, after)) = rest.split_once(words) else {
            panic!("{words:?} is not where it should be:\n{printed}");
        };
        rest = after;
    }
}

/// What each storage says, by its name.
fn of_each(words: impl Fn(&str) -> String) -> Vec<String> {
    NAMES.iter().map(|name| words(name)).collect()
}

/// The storage that holds the volume, as the ledger has it.
fn holder(lab: &mut Lab, volume: &str) -> String {
    let (status, printed) = lab.sdgroup().run(&["volumes", "list", "--csv"]);
    assert!(status.success(), "{printed}");
    let line = printed.lines().find(|line| line.split(',').next() == Some(volume));
    let line = line.unwrap_or_else(|| panic!("{volume} is not in the ledger:\n{printed}"));
    line.split(',').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn what_is_typed_for_the_group_is_answered_by_each_of_its_storages() {
    let lab = plan().start(SDGROUP);

    let printed = typed(&lab, "status storage=Files");
    must_print(&printed, &["group Files by RoundRobin", "File4", "File5", "File6"]);
    must_print(
        &printed,
        &of_each(|name| format!("{}-sd Version: ", name.to_lowercase())),
    );
    let printed = typed(&lab, ".status storage=Files header");
    must_print(
        &printed,
        &["group Files by RoundRobin", "file4-sd", "file5-sd", "file6-sd"],
    );
    let printed = lab.console(&[
        ".api 2",
        ".status storage=Files header",
        ".status storage=Files devices",
    ]);
    must_print(
        &printed,
        &[
            "\nname=sdgroup\n",
            "\ngroup=Files\n",
            "\nname=file4-sd\n",
            "\nname=file6-sd\n",
        ],
    );
    must_print(&printed, &of_each(|name| format!("\nname={name}-vault-1\n")));
    let printed = lab.console(&[".status storage=Files current", ".status storage=Files last"]);
    assert_eq!(printed.matches("3000 OK .status").count(), 2, "{printed}");
    let printed = lab.console(&[".status storage=Files nonsense", ".status storage=Files last"]);
    must_print(
        &printed,
        &[
            "3900 Unknown arg in .status command: .status nonsense",
            "3000 OK .status",
        ],
    );

    // Nothing to be done for files, but each says so of its own device.
    for (command, said) in [
        ("mount storage=Files drive=0 slot=0", "3906"),
        ("release storage=Files drive=0 slot=0", "3921"),
        ("unmount storage=Files drive=0", "3901"),
        ("disable storage=Files drive=2", "3002"),
        ("enable storage=Files drive=2", "3002"),
        ("enable storage=Files drive=2", "3003"),
    ] {
        let printed = typed(&lab, command);
        must_print(&printed, &of_each(|name| format!("{said} {name}: ")));
        assert!(printed.matches("-drive").count() == 3, "{command}: {printed}");
    }
    let printed = typed(&lab, "setdebug level=0 trace=0 storage=Files");
    must_print(&printed, &of_each(|name| format!("3000 {name}: OK setdebug=0 ")));
    let printed = typed(&lab, "statistics storage=Files");
    must_print(
        &printed,
        &of_each(|name| format!("bacula.storage.{}-sd.config.devices=5", name.to_lowercase())),
    );
    let printed = typed(&lab, "statistics json storage=Files");
    assert_eq!(printed.matches('[').count(), 1, "{printed}");
    let printed = typed(&lab, "cloud list storage=Files");
    must_print(
        &printed,
        &of_each(|name| format!("3900 {name}: Error cannot get cloud Volume list")),
    );

    // One changer is not three.
    for command in [
        "mount storage=Files drive=0 slot=1",
        "update slots storage=Files drive=0",
    ] {
        must_print(&typed(&lab, command), &["3999 ", "Device = \"File4/FileGroup\""]);
    }
}

#[test]
fn a_client_measures_the_network_through_the_group() {
    let lab = plan().start(SDGROUP);
    let printed = typed(&lab, "status network bytes=10MB client=lab-fd storage=Files");
    must_print(&printed, &["2000 OK", "bytes=10000000", "write_speed="]);
}

#[test]
fn a_label_goes_to_one_storage_and_what_follows_finds_it_there() {
    let mut plan = plan();
    let source = plan.tree("Docs", 41);
    let mut lab = plan.start(SDGROUP);

    // By the policy, on the drive that was named, and on the storage that the Director's resource addresses.
    for (command, device, home) in [
        (
            "label storage=Files pool=Files volume=Manual-1 slot=0 drive=0",
            "File4-drive1",
            "File4",
        ),
        (
            "label storage=Files pool=Files volume=Manual-2 slot=0 drive=1",
            "File5-drive2",
            "File5",
        ),
        (
            "label storage=Only-File5 pool=Files volume=Manual-3 slot=0 drive=2",
            "File5-drive3",
            "File5",
        ),
    ] {
        let printed = typed(&lab, command);
        must_print(
            &printed,
            &[
                "3000 OK label",
                device,
                "successfully created",
                "3906 File device",
                device,
            ],
        );
        let volume = command
            .split(['=', ' '])
            .find(|word| word.starts_with("Manual"))
            .unwrap();
        assert_eq!(holder(&mut lab, volume), home);
        assert_eq!(lab.storages_of(&[volume.to_owned()]), [home]);
    }
    let volumes = lab.catalog().volumes();
    assert!(
        volumes
            .iter()
            .all(|volume| volume.media_type == "File" && volume.bytes > 0),
        "{volumes:?}"
    );

    // Jobs use them where they are.
    let jobs: Vec<_> = (0..4).map(|_| lab.job("Docs", "Full")).collect();
    let mut used: Vec<_> = jobs.iter().flat_map(|job| job.must_be_ok().volumes.clone()).collect();
    used.sort();
    used.dedup();
    assert!(used.contains(&"Manual-1".to_owned()), "{used:?}");
    for volume in &used {
        assert_eq!(
            lab.storages_of(std::slice::from_ref(volume)),
            [holder(&mut lab, volume)]
        );
    }
    lab.must_restore(&[jobs[0].id], &source, &tree::checksum(&source));

    truncated_where_it_is(&mut lab);
    relabelled_where_it_is(&mut lab);
}

fn truncated_where_it_is(lab: &mut Lab) {
    let volume = |lab: &Lab| {
        let mut volumes = lab.catalog().volumes().into_iter();
        volumes.find(|volume| volume.name == "Manual-1").unwrap()
    };
    let before = volume(lab);
    assert!(before.bytes > 1_000, "{before:?}");
    let printed = lab.console(&[
        "update volume=Manual-1 recycle=yes",
        "update volume=Manual-1 actiononpurge=truncate",
        "purge volume=Manual-1 yes",
        "truncate volume=Manual-1 storage=Files pool=Files drive=0",
    ]);
    must_print(
        &printed,
        &["3000 OK label", "The volume \"Manual-1\" has been truncated"],
    );
    let after = volume(lab);
    assert!(after.bytes < 1_000, "{after:?}");
    assert_eq!(holder(lab, "Manual-1"), "File4");
}

fn relabelled_where_it_is(lab: &mut Lab) {
    let printed = typed(
        lab,
        "relabel storage=Files oldvolume=Manual-1 volume=Manual-9 pool=Files slot=0 drive=0",
    );
    must_print(
        &printed,
        &[
            "3000 OK label",
            "Volume=\"Manual-9\" Device=\"File4-drive1\"",
            "deleted from catalog",
        ],
    );
    assert_eq!(holder(lab, "Manual-9"), "File4");
    let (_, listed) = lab.sdgroup().run(&["volumes", "list", "--csv"]);
    assert!(!listed.contains("Manual-1"), "{listed}");
    // A storage that does not have the volume would make a new one and call it truncated.
    let printed = lab.console(&[
        "purge volume=Manual-9 yes",
        "relabel storage=Only-File6 oldvolume=Manual-9 volume=Manual-10 pool=Files slot=0 drive=0",
    ]);
    must_print(
        &printed,
        &[
            "3999 volume Manual-9 is on storage File4, not on File6",
            "Label command failed",
        ],
    );
    assert_eq!(holder(lab, "Manual-9"), "File4");
}

#[test]
fn a_changer_with_slots_is_worked_by_the_storage_that_has_it() {
    let mut lab = plan().start(SDGROUP);

    let printed = typed(&lab, "update slots storage=Vault-File5 drive=0");
    must_print(
        &printed,
        &["3306 Issuing autochanger \"slots\"", "has 4 slots", "\"list\""],
    );
    let printed = lab.console(&["label barcodes storage=Vault-File5 pool=Files drive=0 slots=1-3", "yes"]);
    for slot in 1..SLOTS {
        let volume = barcode("File5", slot);
        must_print(
            &printed,
            &[
                format!("Sending label command for Volume \"{volume}\" Slot {slot}"),
                format!("Volume=\"{volume}\""),
            ],
        );
        assert_eq!(holder(&mut lab, &volume), "File5");
    }
    let volumes = lab.catalog().volumes();
    assert_eq!(volumes.len(), SLOTS - 1, "{volumes:?}");
    assert!(volumes.iter().all(|volume| volume.media_type == "Vault"), "{volumes:?}");

    let printed = typed(&lab, "status slots storage=Vault-File5 drive=0");
    must_print(
        &printed,
        &[
            " 1 |",
            &barcode("File5", 1),
            "Append",
            " 4*|",
            &barcode("File5", 4),
            "?",
        ],
    );
    let printed = typed(&lab, "update slots scan storage=Vault-File5 drive=1");
    for slot in 1..SLOTS {
        must_print(
            &printed,
            &[format!("3001 Volume={} Slot={slot}", barcode("File5", slot))],
        );
    }
    let printed = lab.console(&[
        "unmount storage=Vault-File5 drive=1",
        "mount storage=Vault-File5 drive=1 slot=2",
        "unmount storage=Vault-File5 drive=1",
        "release storage=Vault-File5 drive=1 slot=0",
    ]);
    must_print(
        &printed,
        &[
            "3002 Device",
            "3304 Issuing autochanger \"load Volume",
            "Slot 2, Drive 1",
            "File5-vault-1",
            "3307 Issuing autochanger \"unload",
            "3002 Device",
            "3921 Device",
        ],
    );
    // The other storages have theirs, and were left alone.
    must_print(
        &typed(&lab, "mount storage=Vault-File6 drive=0 slot=1"),
        &["Slot 1, Drive 0", "File6-vault-0"],
    );
    assert!(!lab.storages()[0].folder.join("vault/loaded0").exists());
    must_print(
        &typed(&lab, "status storage=Vault-File4"),
        &["group Files", "file4-sd", "file6-sd"],
    );
}

#[test]
fn a_job_is_canceled_and_another_is_stopped_where_they_run() {
    let mut plan = plan();
    let mut gates: Vec<_> = ["Slow1", "Slow2"].map(|name| plan.gate(name)).into();
    let lab = plan.start(SDGROUP);
    let ids: Vec<_> = (1..=2)
        .zip(&mut gates)
        .map(|(number, gate)| {
            let id = lab.run_job(&format!("Slow{number}"), "Full");
            gate.feed(200_000, JOB_WITHIN);
            id
        })
        .collect();
    let begun = Instant::now();
    let printed = typed(&lab, &format!("cancel jobid={} yes", ids[0]));
    must_print(&printed, &["3000 JobId=", "marked to be canceled"]);
    assert_eq!(lab.wait(ids[0]).status, 'A');
    let printed = typed(&lab, &format!("stop jobid={} yes", ids[1]));
    must_print(&printed, &["3000 JobId=", "marked to be stopped"]);
    assert!("IA".contains(lab.wait(ids[1]).status));
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    drop(gates);
}

#[test]
fn a_storage_that_is_silent_or_down_keeps_nobody_from_answering() {
    let mut plan = plan();
    plan.storages = 3;
    let mut lab = plan.start(SDGROUP);
    lab.storage("File4").kill();
    lab.storage("File5").freeze();

    let begun = Instant::now();
    let printed = typed(&lab, "status storage=Files");
    must_print(
        &printed,
        &[
            "Storage File4: ",
            "refused",
            "Storage File5: no answer within",
            "file6-sd Version: ",
        ],
    );
    let printed = typed(&lab, "release storage=Files drive=0 slot=0");
    must_print(
        &printed,
        &["3999 File4: ", "3999 File5: no answer within", "3921 File6: Device"],
    );
    let printed = typed(&lab, "label storage=Files pool=Files volume=Manual-1 slot=0 drive=0");
    must_print(&printed, &["3000 OK label", "File6-drive1", "successfully created"]);
    let printed = typed(
        &lab,
        "label storage=Only-File5 pool=Files volume=Manual-2 slot=0 drive=0",
    );
    must_print(
        &printed,
        &["3999 storage File5: no answer within", "Label command failed"],
    );
    // The Director's own console takes no notice of how long a storage is silent; each of these waited two seconds.
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    lab.storage("File5").thaw();
    wait::until("the thawed storage to answer", JOB_WITHIN, || {
        typed(&lab, "release storage=Files drive=0 slot=0")
            .contains("3921 File5: ")
            .then_some(())
    });
}
