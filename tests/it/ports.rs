//! No local port is left to call a storage from.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use sdgroup::group::Availability;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::harness::meters::Meters;
use crate::harness::running::{Running, back_up};
use crate::harness::site::{Plot, Site};
use crate::harness::wait::soon;

/// Set for the test that uses the ports up, in the network where it may.
const INSIDE: &str = "SDGROUP_TEST_IN_NAMESPACE";

/// A user's own network, without rights on the machine.
const APART: [&str; 2] = ["--net", "--map-root-user"];

#[test]
fn jobs_that_run_end_well_when_ports_are_used_up_and_the_next_goes_to_another_storage() {
    let is_allowed = Command::new("unshare")
        .args(APART)
        .args(["ip", "link", "set", "lo", "up"])
        .status();
    if !is_allowed.is_ok_and(|status| status.success()) {
        println!("this user may make no network: nothing tried");
        return;
    }
    let mut apart = Command::new("unshare");
    apart.args(APART).arg(std::env::current_exe().expect("this program"));
    apart.args(["--exact", "ports::in_a_network_with_few", "--ignored", "--nocapture"]);
    let output = apart.env(INSIDE, "yes").output().expect("unshare");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "jobs_that_run_end_well_when_ports_are_used_up_and_the_next_goes_to_another_storage runs it in a network of its own"]
async fn in_a_network_with_few() {
    assert!(std::env::var_os(INSIDE).is_some(), "not on the machine's own network");
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(up.expect("ip").success());
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40199").expect("a range of ports");
    let (meters, site) = (Meters::new(), Site::new(Plot::listed()).await);
    let running = Running::start(&site.director, "Running").await;

    assert_eq!(site.sdgroup.probe("File4").await, "ok");
    let taken = take_all_ports_to(site.storages[0].address).await;
    let (report, records) = back_up(&site.director, "Next").await;

    assert_eq!(site.home(&report).settings().name, "File5");
    assert_eq!(site.home(&report).written_by(&report.name), records);
    let told = ["File4", "did not take the job", "widen net.ipv4.ip_local_port_range"];
    assert!(report.told.says(&told), "{:?}", report.told.log);
    meters
        .until(&["sdgroup_job_failovers_total", "File4", "exhausted"], 1)
        .await;
    assert!(!site.sdgroup.ejected("File4"), "it is not the storage's fault");
    for _ in 0..5 {
        assert_eq!(site.sdgroup.probe("File4").await, "exhausted");
    }
    assert_eq!(
        site.sdgroup.availability("File4"),
        Availability::Up,
        "nobody knows better"
    );
    let (kept, records) = running.finish().await;
    assert_eq!(site.storages[0].written_by(&kept.name), records);
    drop(taken);
    let (again, _) = back_up(&site.director, "Again").await;
    assert_eq!(site.home(&again).settings().name, "File4");
    site.until_quiet(&[&report, &kept, &again]).await;
}

/// Calls `address` until no port is left to call it from.
async fn take_all_ports_to(address: SocketAddr) -> Vec<TcpStream> {
    let mut taken = Vec::new();
    loop {
        match soon("a call", TcpStream::connect(address)).await {
            Ok(stream) => {
                // Dropped, it leaves its port at once.
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                taken.push(stream);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "after {}", taken.len());
                return taken;
            }
        }
    }
}
