//! An operator's commands: each to the storage that is meant, several storages' replies as one.

use std::sync::Arc;

use sdgroup::store::{
    Answer, Entry, JobRecord, Keep, MemoryStore, Recorded, StateRecord, Store, StoreError, VolumeRecord,
};
use sdgroup::types::{StorageName, VolumeName};
use sdgroup::wire::packet::{Packet, Signal};

use crate::harness::bytes_of_jobs::Record;
use crate::harness::running::Running;
use crate::harness::site::{NAMES, PASSWORD, POOL, Plot, Site};
use crate::harness::wait::{PATIENCE, soon, until_true};
use crate::harness::wire::shown;
use crate::peers::director::Reply;
use crate::peers::storage::{Point, Storage};

/// Storages with words of their own.
fn own_words() -> Plot {
    Plot {
        settings: |settings| {
            settings.media_type = format!("Media-of-{}", settings.name);
            settings.changer = format!("Changer of {}", settings.name);
        },
        storage: |name| format!("Device = \"Changer of {name}\"\nMediaType = \"Media-of-{name}\""),
        group: "Device = \"Changer\"\nMediaType = \"File\"\nLoginTimeout = \"0.5 seconds\"\nDownWait = \"0.5 seconds\"",
        ..Plot::default()
    }
}

/// One command on a connection of its own.
async fn ask(site: &Site, command: &str) -> Reply {
    let mut control = site.director.call().await.unwrap();
    let reply = soon("the reply", control.command(command)).await.unwrap();
    control.part().await;
    reply
}

async fn lines(site: &Site, command: &str) -> Vec<String> {
    let reply = ask(site, command).await;
    assert_eq!(reply.end, Signal::Eod, "{reply:?}");
    reply.lines
}

fn label(volume: &str) -> String {
    format!("label Changer VolumeName={volume} PoolName={POOL} MediaType=File Slot=0 drive=0")
}

/// What a storage was told that is neither a job's nor a probe's.
fn told(storage: &Storage) -> Vec<String> {
    storage.commands()
}

#[tokio::test]
async fn several_storages_answer_as_one_and_say_who_they_are_behind_the_code() {
    let site = Site::new(own_words()).await;
    assert_eq!(
        lines(&site, "unmount Changer drive=0 slot=0\n").await,
        NAMES.map(|name| format!("3002 {name}: Device \"Changer of {name}\" unmounted."))
    );
    assert_eq!(
        lines(&site, "mount Changer drive=1 slot=0\n").await,
        NAMES.map(|name| format!("3906 {name}: File device \"Changer of {name}\" is always mounted."))
    );
    assert_eq!(
        told(&site.storages[1])[1],
        "mount Changer\u{1}of\u{1}File5 drive=1 slot=0"
    );
    assert_eq!(
        lines(&site, "release Drive-9 drive=0 slot=0\n").await,
        NAMES.map(|name| format!("3999 {name}: Device \"Drive-9\" not found or could not be opened."))
    );
    // Storages that do not know the device say nothing at all.
    assert_eq!(lines(&site, "enable Drive-9 drive=0 slot=0\n").await, [""; 0]);
    assert_eq!(
        lines(&site, "disable Changer drive=0 slot=0\n").await,
        NAMES.map(|name| format!("3002 {name}: Device \"Changer of {name}\" disabled."))
    );
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_device_that_addresses_a_member_is_that_members() {
    let site = Site::new(own_words()).await;
    assert_eq!(
        lines(&site, "mount File5/Changer drive=0 slot=3\n").await,
        ["3906 File device \"Changer of File5\" is always mounted."]
    );
    assert_eq!(
        told(&site.storages[1]),
        ["mount Changer\u{1}of\u{1}File5 drive=0 slot=3"]
    );
    // One drive, by the storage's own name.
    assert_eq!(
        lines(&site, "release File6/Changer\u{1}of\u{1}File6-Drive-1 drive=0 slot=0\n").await,
        ["3022 Device \"Changer of File6-Drive-1\" released."]
    );
    assert_eq!(
        lines(&site, "autochanger list File4/Changer \n").await,
        [
            "3306 Issuing autochanger \"list\" command.",
            "1:File4-1",
            "2:File4-2",
            "3:File4-3",
            "4:File4-4"
        ]
    );
    assert_eq!(
        lines(&site, "readlabel File4/Changer Slot=2 drive=0\n").await,
        ["3001 Volume=Slot-2 Slot=2"]
    );
    assert_eq!(
        lines(&site, ".status devices api=2 api_opts= device=File5/Changer").await,
        [""; 0]
    );
    assert!(told(&site.storages[2]).iter().all(|line| !line.starts_with(".status")));
}

#[tokio::test]
async fn what_only_one_changer_can_do_is_refused_with_advice_where_all_are_meant() {
    let site = Site::new(own_words()).await;
    for command in [
        "autochanger list Changer \n",
        "autochanger slots Changer\n",
        "readlabel Changer Slot=1 drive=0\n",
        "mount Changer drive=0 slot=1\n",
        &label("Barcode-1").replace("Slot=0", "Slot=1"),
    ] {
        let lines = lines(&site, command).await;
        assert_eq!(lines.len(), 1, "{command}: {lines:?}");
        assert!(lines[0].starts_with("3999 "), "{lines:?}");
        assert!(lines[0].contains("Device = \"File4/Changer\""), "{lines:?}");
    }
    // A Director asks this by itself, to know whether to ask for a drive.
    assert_eq!(lines(&site, "autochanger drives Changer\n").await, ["drives=2"]);
    for storage in &site.storages {
        assert_eq!(told(storage).len(), 1, "{:?}", told(storage));
    }
}

#[tokio::test]
async fn labels_go_where_the_policy_says_and_the_ledger_knows_before_the_director() {
    let site = Site::new(own_words()).await;
    let mut control = site.director.call().await.unwrap();
    control.wire.send(label("Fresh-1")).await.unwrap();
    let Packet::Message(request) = control.wire.packet().await.unwrap() else {
        panic!("not a catalog request");
    };
    assert!(shown(&request).starts_with("CatReq JobId=0 UpdateMedia VolName=Fresh-1"));
    assert_eq!(site.sdgroup.holder("Fresh-1").await.as_deref(), Some("File4"));
    control
        .wire
        .send("1991 Catalog Request for vol=Fresh-1 failed\n")
        .await
        .unwrap();
    let said = shown(&control.wire.message().await.unwrap());
    assert!(said.starts_with("3000 OK label. VolBytes=217"), "{said}");
    assert_eq!(control.wire.packet().await.unwrap(), Packet::Signal(Signal::Eod));
    // What follows on this connection is meant for the same storage.
    let reply = soon("the mount", control.command("mount Changer drive=0 slot=0"))
        .await
        .unwrap();
    assert_eq!(
        reply.lines,
        ["3906 File device \"Changer of File4\" is always mounted."]
    );
    // Not the next one.
    let reply = soon("another mount", control.command("mount Changer drive=0 slot=0"))
        .await
        .unwrap();
    assert_eq!(reply.lines.len(), 3);
    control.part().await;

    // RoundRobin goes on with the next one, and the record has the Director's words.
    lines(&site, &label("Fresh-2")).await;
    assert_eq!(site.storages[1].labelled(), ["Fresh-2"]);
    let records = site.sdgroup.context.ledger.list(None).await.unwrap();
    let second = records
        .iter()
        .find(|record| record.volume.as_str() == "Fresh-2")
        .unwrap();
    assert_eq!(second.storage.as_str(), "File5");
    assert_eq!(second.media_type.as_ref().unwrap().as_str(), "File");
    assert_eq!(second.pool.as_ref().unwrap().as_str(), POOL);
    // Whoever has it already is asked, and says so.
    assert_eq!(
        lines(&site, &label("Fresh-2")).await,
        ["3920 Cannot label Volume because it is already labeled: \"Fresh-2\""]
    );
    // An operator who names the storage has his way.
    lines(&site, &label("Fresh-3").replace("Changer", "File6/Changer")).await;
    assert_eq!(site.sdgroup.holder("Fresh-3").await.as_deref(), Some("File6"));
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_label_passes_over_a_storage_that_cannot_be_reached() {
    let site = Site::new(Plot::listed()).await;
    site.storages[0].freeze();
    site.storages[1].refuse_connections().await;
    let said = lines(&site, &label("Fresh-1")).await;
    assert!(said[0].starts_with("3000 OK label"), "{said:?}");
    assert_eq!(site.sdgroup.holder("Fresh-1").await.as_deref(), Some("File6"));
    site.storages[2].refuse_connections().await;
    let said = lines(&site, &label("Fresh-2")).await;
    assert!(said[0].starts_with("3999 ") && said[0].contains("File5"), "{said:?}");
    site.storages[0].thaw();
}

#[tokio::test]
async fn commands_about_a_volume_go_to_the_storage_that_holds_it() {
    let site = Site::new(own_words()).await;
    for (at, name) in NAMES.iter().enumerate() {
        lines(&site, &label(&format!("Old-{}", at + 1))).await;
        assert_eq!(
            site.sdgroup.holder(&format!("Old-{}", at + 1)).await.as_deref(),
            Some(*name)
        );
    }
    // Relabelled, and truncated after a purge, which is a relabel with both names the same.
    let relabel = |old: &str, new: &str| {
        format!("relabel Changer OldName={old} NewName={new} PoolName={POOL} MediaType=File Slot=0 drive=0\n")
    };
    let said = lines(&site, &relabel("Old-2", "New-2")).await;
    assert!(said[0].starts_with("3000 OK label"), "{said:?}");
    assert_eq!(site.sdgroup.holder("Old-2").await, None);
    assert_eq!(site.sdgroup.holder("New-2").await.as_deref(), Some("File5"));
    // Several volumes on one connection, each where it is.
    let mut control = site.director.call().await.unwrap();
    for volume in ["New-2", "Old-3", "Old-1"] {
        let reply = soon("a truncation", control.command(&relabel(volume, volume)))
            .await
            .unwrap();
        assert!(reply.lines[0].starts_with("3000 OK label"), "{reply:?}");
    }
    control.part().await;
    let astray = relabel("Old-1", "Old-1").replace("Changer", "File5/Changer");
    let said = lines(&site, &astray).await;
    assert!(
        said[0].starts_with("3999 volume Old-1 is on storage File4, not on File5"),
        "{said:?}"
    );
    let said = lines(&site, &relabel("Nobodys", "New")).await;
    assert!(
        said[0].starts_with("3999 ") && said[0].contains("sdgroup volumes assign Nobodys"),
        "{said:?}"
    );
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_volumes_parts_in_a_cloud_are_its_storages_affair() {
    let site = Site::new(own_words()).await;
    for volume in ["Old-1", "Old-2", "Old-3"] {
        lines(&site, &label(volume)).await;
    }
    let mut control = site.director.call().await.unwrap();
    for (command, answer) in [
        (
            "truncate cache",
            "3000 OK truncate cache for volume \"Old-3\" 1 part(s) 10 B.",
        ),
        ("upload", "3000 OK upload."),
    ] {
        let command = format!(
            "{command} Storage=Changer Volume=Old-3 PoolName={POOL} MediaType=File Slot=0 drive=0 CacheRetention=0\n"
        );
        let reply = soon("the cloud", control.command(&command)).await.unwrap();
        assert_eq!(reply.lines.last().unwrap().trim_end(), answer, "{reply:?}");
        assert!(reply.lines[0].starts_with("Jmsg JobId=0 "), "{reply:?}");
        let told = told(&site.storages[2]);
        assert!(
            told.last().unwrap().contains("Storage=Changer\u{1}of\u{1}File6 "),
            "{told:?}"
        );
        assert!(told.last().unwrap().contains(" MediaType=Media-of-File6 "), "{told:?}");
    }
    control.part().await;
    assert_eq!(
        lines(
            &site,
            "cloudlist Storage=Changer Volume=Old-1 MediaType=File Slot=0 drive=0\n"
        )
        .await,
        ["part=1 size=10 mtime=1795393239"]
    );
    assert_eq!(
        lines(
            &site,
            "cloudlist Storage=Changer Volume= MediaType=File Slot=0 drive=0\n"
        )
        .await,
        ["volume=Old-1", "volume=Old-2", "volume=Old-3"]
    );
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_volume_that_is_in_another_group_is_named_with_its_storage() {
    let plot = Plot {
        more: "[[Group]]\nName = \"Two\"\nStorages = [\"File4\", \"File5\"]",
        ..Plot::default()
    };
    let mut site = Site::new(plot).await;
    lines(&site, &label("A")).await;
    lines(&site, &label("B")).await;
    lines(&site, &label("C")).await;
    site.director.storage.address = site.sdgroup.listen(1).await;
    let said = lines(&site, &label("C")).await;
    assert_eq!(said, ["3999 volume C: storage File6 is not in group Two"]);
}

#[tokio::test]
async fn replies_end_as_a_storages_do() {
    let site = Site::new(own_words()).await;
    let mut control = site.director.call().await.unwrap();
    // One message and no EOD: the connection goes on at once.
    control
        .wire
        .put("setdebug=5 trace=0 hangup=0 blowup=0 options= tags=\n");
    control.wire.put("prunecache\n");
    control.wire.put("sendprogress\n");
    control.wire.put(".status last api=0 api_opts=");
    control.wire.flush().await.unwrap();
    let said = shown(&control.wire.message().await.unwrap());
    let each = NAMES.map(|name| format!("3000 {name}: OK setdebug=5 trace=0 options= tags="));
    assert_eq!(said.lines().collect::<Vec<_>>(), each);
    assert_eq!(
        shown(&control.wire.message().await.unwrap()),
        "3900 Not yet implemented"
    );
    // `sendprogress` is another release's, so this is the end of the connection.
    assert_eq!(
        shown(&control.wire.message().await.unwrap()),
        "3900 Invalid command: sendprogress"
    );
    let (rest, _) = control.wire.until_closed().await;
    assert_eq!(rest, [Packet::Signal(Signal::Terminate)]);
    site.until_quiet(&[]).await;
}

/// What comes until the connection ends, a signal by its name.
async fn heard_to_the_end(site: &Site, command: &str) -> Vec<String> {
    let mut control = site.director.call().await.unwrap();
    control.wire.send(command).await.unwrap();
    let (packets, _) = control.wire.until_closed().await;
    let heard = packets.iter().map(|packet| match packet {
        Packet::Message(text) => shown(text),
        Packet::Signal(signal) => format!("{signal:?}"),
    });
    heard.collect()
}

#[tokio::test]
async fn what_no_storage_does_is_refused_in_a_storages_words() {
    let site = Site::new(own_words()).await;
    for (command, said) in [
        (
            ".status nonsense api=0",
            vec![
                "3900 Unknown arg in .status command: .status nonsense api=0",
                "Eod",
                "Eod",
            ],
        ),
        (".status", vec!["3900 No arg in .status command: .status", "Eod"]),
        ("% %n %s\n", vec!["3900 Invalid command: % %n %s"]),
        (
            "use storage=S media_type=File\n",
            vec!["3913 Bad use command: use storage=S media_type=File"],
        ),
        ("bootstrap\n", vec!["3904 Error bootstrap"]),
        ("run", vec!["3900 Invalid command: run"]),
        (
            "storage address=a port=1 ssl=0 Job=J Authentication=KEY\n",
            vec!["2902 Bad storage"],
        ),
        ("client address=a port=1 ssl=0\n", vec!["3902 Bad client cmd"]),
        (
            "volumeprotect mediatype=File device=Changer volume=V drive=0 retention=1\n",
            vec!["3900 Invalid command: volumeprotect mediatype=File device=Changer volume=V drive=0"],
        ),
        (".die\n", vec![]),
    ] {
        let mut heard = heard_to_the_end(&site, command).await;
        assert_eq!(heard.pop().as_deref(), Some("Terminate"), "{command}");
        assert!(
            heard.len() == said.len()
                && heard
                    .iter()
                    .zip(&said)
                    .all(|(heard, said)| said.starts_with(heard.as_str())),
            "{command}: {heard:?}"
        );
    }
    // What cannot be read has the command's own code, and the connection goes on.
    let mut control = site.director.call().await.unwrap();
    for (command, code) in [
        ("mount\n", "3909 "),
        ("label X\n", "3903 "),
        ("release\n", "3927 "),
        ("cancel\n", "3903 "),
    ] {
        let reply = control.command(command).await.unwrap();
        assert!(reply.lines[0].starts_with(code), "{reply:?}");
        assert_eq!(reply.end, Signal::Eod);
    }
    control.part().await;
    for storage in &site.storages {
        assert_eq!(told(storage), [""; 0]);
    }
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn statuses_and_figures_of_all_are_put_together() {
    let site = Site::new(own_words()).await;
    let running = Running::start(&site.director, "Slow").await;
    let said = lines(&site, ".status current api=0 api_opts=").await;
    assert_eq!(said, ["3000 OK .status", "JobId=1 JobStatus=R JobErrors=0"]);
    assert_eq!(
        lines(&site, "statistics all format=simple\n").await,
        [
            "bacula.storage.File4.jobs=1",
            "bacula.storage.File5.jobs=0",
            "bacula.storage.File6.jobs=0"
        ]
    );
    let json = lines(&site, "statistics all format=json\n").await.concat();
    let list: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(list.len(), 6);
    assert_eq!(list[3]["name"], "File5.devices");
    for storage in &site.storages {
        storage.tell_space(512_000, 1_024_000);
    }
    let objects = lines(&site, ".status devices api=2 api_opts=").await;
    assert_eq!(objects.len(), 3);
    assert!(
        objects
            .iter()
            .all(|object| object.starts_with("\nname=Changer of File")),
        "{objects:?}"
    );
    site.director.cancel(&running.name).await.unwrap();
    drop(running);
}

/// The cells of a storage's row in the group's table.
async fn row(site: &Site, storage: &str) -> Vec<String> {
    let table = lines(site, "status").await.join("\n");
    let row = table.lines().find(|line| line.trim_start().starts_with(storage));
    let cells = row
        .unwrap_or_else(|| panic!("no row of {storage}:\n{table}"))
        .split_whitespace();
    cells.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_groups_table_tells_how_many_jobs_run_and_how_fast() {
    let site = Site::new(Plot::listed()).await;
    let mut running = Running::start(&site.director, "Fast").await;
    assert_eq!(row(&site, "File5").await[2..], ["0", "of", "100", "0.0", "0.0"]);
    // Nothing that the Client could compress.
    let mut bytes = vec![0; 500_000];
    getrandom::fill(&mut bytes).unwrap();
    let much = Record {
        file_index: 1,
        stream: 2,
        bytes: bytes.into(),
    };
    // Eight megabytes in a second or less are some tenths of one over ten seconds.
    running.link.send(&vec![much; 16]).await.unwrap();
    let begun = std::time::Instant::now();
    loop {
        let row = row(&site, "File4").await;
        assert_eq!(row[2..5], ["1", "of", "100"]);
        let rate: f64 = row[row.len() - 2].parse().unwrap();
        if rate > 0.5 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{row:?}");
    }
    let Running { name, ends, .. } = running;
    site.director.cancel(&name).await.unwrap();
    soon("the end", ends).await.unwrap();
}

#[tokio::test]
async fn a_storage_that_does_not_answer_has_a_line_that_says_so() {
    let plot = Plot {
        group: "ConnectTimeout = \"1 second\"\nLoginTimeout = \"1 second\"",
        ..Plot::default()
    };
    let site = Site::new(plot).await;
    site.storages[0].refuse_connections().await;
    site.storages[1].freeze();
    // One that logs in and then says nothing has no more than a moment for what needs a moment.
    site.storages[2].hold(Point::Console);
    let said = lines(&site, "enable Changer drive=0 slot=0\n").await;
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(
        said[0].starts_with("3999 File4: ") && said[0].contains("refused"),
        "{said:?}"
    );
    assert!(said[1].starts_with("3999 File5: no answer within 1 s"), "{said:?}");
    assert!(said[2].starts_with("3999 File6: no answer within 6 s"), "{said:?}");
    let mut control = site.director.call().await.unwrap();
    control
        .wire
        .send("setdebug=5 trace=0 hangup=0 blowup=0 options= tags=\n")
        .await
        .unwrap();
    let said = shown(&control.wire.message().await.unwrap());
    assert_eq!(
        said.lines().filter(|line| line.starts_with("3999 File")).count(),
        3,
        "{said}"
    );
    control.part().await;
    // Where media are moved it may take long, but a Director that leaves is not waited for.
    let mut control = site.director.call().await.unwrap();
    control.wire.send("unmount Changer drive=0 slot=0\n").await.unwrap();
    site.storages[2].until_reached(Point::Console, 3).await;
    drop(control);
    until_true("the session to end", || site.sdgroup.sessions() == 0).await;
    site.storages[2].release(Point::Console);
    site.storages[1].thaw();
}

#[tokio::test]
async fn a_storage_that_breaks_off_has_a_line_that_says_so() {
    let site = Site::new(own_words()).await;
    site.storages[1].hold(Point::Console);
    let mut control = site.director.call().await.unwrap();
    control.wire.send("release Changer drive=0 slot=0\n").await.unwrap();
    site.storages[1].until_reached(Point::Console, 1).await;
    site.storages[1].die().await;
    let mut said = Vec::new();
    while let Packet::Message(line) = control.wire.packet().await.unwrap() {
        said.push(shown(&line));
    }
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("3022 File4: "), "{said:?}");
    assert!(said[1].starts_with("3999 File5: connection lost"), "{said:?}");
    assert!(said[2].starts_with("3022 File6: "), "{said:?}");
    control.part().await;
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn commands_that_come_early_are_answered_in_their_order() {
    let site = Site::new(own_words()).await;
    let mut control = site.director.call().await.unwrap();
    for command in [
        "unmount Changer drive=0 slot=0\n",
        ".status current api=0 api_opts=",
        "release Changer drive=0 slot=0\n",
    ] {
        control.wire.put(command);
    }
    control.wire.put_signal(Signal::Terminate);
    control.wire.flush().await.unwrap();
    let (packets, _) = control.wire.until_closed().await;
    let codes: Vec<_> = packets
        .iter()
        .map(|packet| match packet {
            Packet::Message(text) => shown(text)[..4].to_owned(),
            Packet::Signal(signal) => format!("{signal:?}"),
        })
        .collect();
    let expected = [
        "3002", "3002", "3002", "Eod", "3000", "Eod", "3022", "3022", "3022", "Eod",
    ];
    assert_eq!(codes, expected);
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_director_that_may_only_look_gets_the_status_and_nothing_else() {
    let plot = Plot {
        more: "[[Director]]\nName = \"tray\"\nPassword = \"password of sdgroup\"\nMonitor = true",
        settings: |settings| {
            let password = settings.directors[0].1.clone();
            settings.directors.push(("tray".to_owned(), password));
        },
        ..Plot::default()
    };
    assert_eq!(PASSWORD, "password of sdgroup");
    let mut site = Site::new(plot).await;
    "tray".clone_into(&mut site.director.name);
    let said = lines(&site, "status").await.join("\n");
    assert!(said.contains("File5 Version: 9.6.7"), "{said}");
    assert_eq!(lines(&site, ".status current").await, ["3000 OK .status"]);
    for command in [
        "cancel Job=J.1\n",
        "mount Changer drive=0 slot=0\n",
        "JobId=1 job=J.1\n",
    ] {
        let mut control = site.director.call().await.unwrap();
        control.wire.send(command).await.unwrap();
        let (packets, _) = control.wire.until_closed().await;
        let [Packet::Message(first), eod, Packet::Message(second), terminate] = &packets[..] else {
            panic!("{packets:?}");
        };
        assert_eq!(
            shown(first),
            "3997 Invalid command for a Director with Monitor directive enabled."
        );
        assert_eq!(shown(second), format!("3900 Invalid command: {}", command.trim_end()));
        let ends = [Packet::Signal(Signal::Eod), Packet::Signal(Signal::Terminate)];
        assert_eq!([eod.clone(), terminate.clone()], ends);
    }
    for storage in &site.storages {
        assert!(
            told(storage).iter().all(|line| line.contains("status")),
            "{:?}",
            told(storage)
        );
    }
}

#[tokio::test]
async fn a_volume_that_a_job_is_about_to_label_is_labelled_there() {
    let site = Site::new(Plot::listed()).await;
    let volume = VolumeName::new("Claimed").unwrap();
    let holder = StorageName::new("File6").unwrap();
    let claimed = site.sdgroup.context.ledger.claim(&volume, &holder, false).await;
    lines(&site, &label("Claimed")).await;
    assert_eq!(site.storages[2].labelled(), ["Claimed"]);
    drop(claimed);
}

/// A disk that is full.
#[derive(Debug)]
struct Unwritable(MemoryStore);

impl Store for Unwritable {
    fn find(&self, volumes: Vec<VolumeName>) -> Answer<Vec<VolumeRecord>> {
        self.0.find(volumes)
    }

    fn all(&self, storage: Option<StorageName>) -> Answer<Vec<VolumeRecord>> {
        self.0.all(storage)
    }

    fn record(&self, _: Vec<Entry>) -> Answer<Vec<Recorded>> {
        Box::pin(std::future::ready(Err(StoreError::Closed)))
    }

    fn forget(&self, volume: VolumeName) -> Answer<Option<VolumeRecord>> {
        self.0.forget(volume)
    }

    fn add_jobs(&self, jobs: Vec<JobRecord>, keep: Keep) -> Answer<()> {
        self.0.add_jobs(jobs, keep)
    }

    fn jobs(&self, since: i64, most: u64) -> Answer<Vec<JobRecord>> {
        self.0.jobs(since, most)
    }

    fn states(&self) -> Answer<Vec<StateRecord>> {
        self.0.states()
    }

    fn put_state(&self, record: StateRecord) -> Answer<()> {
        self.0.put_state(record)
    }
}

#[tokio::test]
async fn a_label_that_the_ledger_cannot_keep_is_not_told_as_one() {
    let site = Site::with_store(Plot::listed(), Arc::new(Unwritable(MemoryStore::new()))).await;
    let said = lines(&site, &label("Lost-1")).await;
    assert_eq!(said.len(), 1, "{said:?}");
    let words = [
        "3999 ",
        "the volume ledger cannot be written",
        "sdgroup volumes assign Lost-1 File4",
    ];
    assert!(words.iter().all(|words| said[0].contains(words)), "{said:?}");
}
