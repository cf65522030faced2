//! A Client that is called (`SD Calls Client`), and what can go wrong with that.

use sdgroup::types::JobStatus;
use sdgroup::wire::packet::Packet;
use tokio::net::TcpListener;

use crate::harness::bytes_of_jobs::{Amount, files};
use crate::harness::ports::Port;
use crate::harness::site::{POOL, Plot, Site};
use crate::harness::wait::{soon, until_true};
use crate::harness::wire::{Wire, WireError, shown};
use crate::peers::client::{ClientError, DataLink};
use crate::peers::director::{Job, Plan};

/// A Client that waits to be called, and the Director's word for it.
async fn client() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, command(port))
}

fn command(port: u16) -> String {
    format!("client address=127.0.0.1 port={port} ssl=0\n")
}

async fn reserved(site: &Site) -> Job {
    let mut job = site.director.begin(&Plan::backup("Called", POOL)).await.unwrap();
    job.reserve().await.unwrap();
    job
}

/// Accepts the call.
async fn accept(listener: &TcpListener, job: &Job) -> Wire {
    let (stream, _) = soon("the call", listener.accept()).await.unwrap();
    let mut wire = Wire::new(stream);
    let Packet::Message(hello) = wire.packet().await.unwrap() else {
        panic!("a signal is not a Hello");
    };
    let expected = format!("Hello FD: Bacula Storage calling Start Job {} ", job.name);
    assert!(shown(&hello).starts_with(&expected), "{}", shown(&hello));
    wire
}

#[tokio::test]
async fn a_client_that_is_called_sends_its_files_when_it_is_told_to() {
    let site = Site::new(Plot::default()).await;
    let mut job = reserved(&site).await;
    let (listener, command) = client().await;
    job.control.wire.send(command).await.unwrap();
    let wire = accept(&listener, &job).await;
    assert_eq!(job.control.reply().await.unwrap(), "3000 OK client command\n");
    job.run().await.unwrap();
    let errand = job.errand();
    let ends = tokio::spawn(job.finish());
    let records = files(3, Amount::SMALL);
    let sent = async {
        let mut link = DataLink::log_in(wire, &errand).await?;
        link.open_append().await?;
        link.send(&records).await?;
        link.close_append().await
    };
    let sent: Result<u8, ClientError> = soon("the backup", sent).await;
    sent.unwrap();
    let report = soon("the end", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
}

#[tokio::test]
async fn a_client_that_cannot_be_called_ends_the_job_with_a_reason() {
    let site = Site::new(Plot::default()).await;
    let mut job = reserved(&site).await;
    let nobody = Port::choose();
    let command = command(nobody.number());
    job.control.wire.send(command).await.unwrap();
    assert_eq!(job.control.reply().await.unwrap(), "3902 Bad client cmd\n");
    let told = &job.control.told;
    assert!(
        told.says(&["cannot call the Client", "127.0.0.1", "refused"]),
        "{told:?}"
    );
    drop(job);
    until_true("the job to be over", || site.sdgroup.context.jobs.all().is_empty()).await;
    assert_eq!(site.sdgroup.running("File4"), 0);
}

#[tokio::test]
async fn a_command_that_names_no_client_ends_the_job() {
    let site = Site::new(Plot::default()).await;
    let mut job = reserved(&site).await;
    job.control.wire.send("client address=\n").await.unwrap();
    assert_eq!(job.control.reply().await.unwrap(), "3902 Bad client cmd\n");
}

#[tokio::test]
async fn a_client_that_was_called_for_nothing_is_let_go() {
    let site = Site::new(Plot::default()).await;
    let mut job = reserved(&site).await;
    let (listener, command) = client().await;
    job.control.wire.send(command).await.unwrap();
    let mut wire = accept(&listener, &job).await;
    job.control.reply().await.unwrap();
    drop(job);
    let end = soon("the end of the call", wire.packet()).await;
    assert!(matches!(end, Err(WireError::Closed | WireError::Broken(_))), "{end:?}");
    until_true("all sessions to be over", || site.sdgroup.running("File4") == 0).await;
}
