use std::path::Path;

use super::super::{Daemon, conf};
use super::*;
use crate::config::{Loaded, MachineSecrets, compile};
use crate::types::StorageName;

/// As Debian ships it: a Director takes an Autochanger for a Storage.
const DIRECTOR: &str = "Director { Name = main-dir }\n\
    Autochanger {\n Name = Disk-1\n Address = one.example.org\n Password = p1\n Device = Chgr\n Media Type = File\n Autochanger = yes\n}\n\
    Storage {\n Name = Disk-2\n Address = two.example.org\n Password = \"p\\\"2\"\n Device = Chgr\n Media Type = File\n TLS Require = yes\n}\n\
    Storage {\n Name = Tape\n Address = localhost\n Password = p3\n Device = LTO\n Media Type = LTO\n}\n";

fn director(more: &str) -> DirectorFile {
    let resources = conf::resources(&format!("{DIRECTOR}{more}"), Path::new("dir.conf")).unwrap();
    DirectorFile::new(&resources, Path::new("dir.conf")).unwrap()
}

fn daemon(name: &str, password: &str, more: &str) -> StorageInput {
    let text = format!(
        "Storage {{\n Name = {name}\n Maximum Concurrent Jobs = 8\n}}\nDirector {{\n Name = main-dir\n Password = \"{password}\"\n}}\n\
         Device {{\n Name = D1\n Media Type = File\n}}\nAutochanger {{\n Name = Chgr\n Device = D1\n}}\n{more}"
    );
    let resources = conf::resources(&text, Path::new(name)).unwrap();
    StorageInput {
        storage: None,
        file: name.into(),
        daemon: StorageFile::new(&resources, Path::new(name)).unwrap(),
    }
}

fn wishes() -> Wishes {
    Wishes {
        groups: Vec::new(),
        policy: None,
        listen: "0.0.0.0:9103".parse().unwrap(),
        password: Secret::new("made just now".to_owned()),
        monitor: None,
    }
}

fn adopted(director: &DirectorFile, inputs: &[StorageInput], wishes: &Wishes) -> (Loaded, Vec<String>) {
    let adopted = adopt(director, inputs, wishes).unwrap();
    let text = adopted.text.reveal();
    let loaded = compile(text, Path::new("x.toml"), &MachineSecrets::only_checking());
    let loaded = loaded.unwrap_or_else(|problems| panic!("{text}\n{}", problems[0]));
    (loaded, adopted.notes)
}

#[test]
fn storages_that_a_pool_names_together_become_a_group() {
    let pool = "Pool {\n Name = P\n Storage = Disk-2, Disk-1\n Storage Group Policy = FreeSpace\n}\n";
    let (Loaded { model, warnings }, notes) = adopted(&director(pool), &[], &wishes());
    assert_eq!(warnings, []);
    let [group] = model.groups.as_slice() else { panic!() };
    assert_eq!(
        (group.name.as_str(), group.policy),
        ("DiskGroup", PolicyName::FreeSpace)
    );
    assert_eq!(
        group.members.iter().map(StorageName::as_str).collect::<Vec<_>>(),
        ["Disk-2", "Disk-1"]
    );
    let storage = model.storage("Disk-2").unwrap();
    assert_eq!((storage.address.as_str(), storage.port), ("two.example.org", 9103));
    assert_eq!(storage.password.as_ref().unwrap().reveal(), "p\"2");
    assert_eq!(storage.tls.needs.psk, crate::types::Need::Required);
    assert!(
        notes.iter().any(|note| note.starts_with("not taken over: Tape;")),
        "{notes:?}"
    );
    // Tape is on this machine, at the port that sdgroup would have had.
    assert_eq!(model.listeners[0].address.port(), 9104);
}

#[test]
fn alike_storages_become_a_group_where_nothing_names_them_together() {
    let (Loaded { model, .. }, _) = adopted(&director(""), &[], &wishes());
    assert_eq!(model.groups.len(), 1);
    assert_eq!(model.groups[0].members.len(), 2);
    assert_eq!(model.groups[0].policy, PolicyName::LeastUsed);
    assert_eq!(model.groups[0].media_type.as_ref().unwrap().as_str(), "File");
    assert_eq!(model.storages[0].media_type, None);
}

#[test]
fn unlike_storages_keep_their_words_and_the_director_gets_others() {
    let mut wishes = wishes();
    wishes.groups = vec![("All".to_owned(), vec!["Disk-1".to_owned(), "Tape".to_owned()])];
    let (Loaded { model, .. }, _) = adopted(&director(""), &[], &wishes);
    let group = &model.groups[0];
    assert_eq!(group.device.as_ref().unwrap().as_str(), "All");
    assert_eq!(group.media_type.as_ref().unwrap().as_str(), "All");
    let tape = model.storage("Tape").unwrap();
    assert_eq!(tape.device.as_ref().unwrap().as_str(), "LTO");
}

#[test]
fn daemons_tell_limits_and_a_monitor_that_all_have() {
    let monitor = "Director {\n Name = mon\n Password = pm\n Monitor = yes\n}\n";
    let inputs = [daemon("two-sd", "p\\\"2", monitor), daemon("one-sd", "p1", monitor)];
    let (Loaded { model, .. }, notes) = adopted(&director(""), &inputs, &wishes());
    assert_eq!(model.probe.director.as_str(), "mon");
    assert_eq!(model.storages[0].limits.maximum, Some(8));
    assert_eq!(
        model.storages[0].password_for(&model.probe.director).unwrap().reveal(),
        "pm"
    );
    assert_eq!(notes.len(), 1, "{notes:?}");
    let mut wishes = wishes();
    wishes.monitor = Some(("sdgroup-monitor".to_owned(), Secret::new("new".to_owned())));
    let (Loaded { model, .. }, _) = adopted(&director(""), &[], &wishes);
    assert_eq!(model.probe.director.as_str(), "sdgroup-monitor");
}

#[test]
fn what_does_not_fit_says_why() {
    let error =
        |inputs: &[StorageInput], wishes: &Wishes| adopt(&director(""), inputs, wishes).unwrap_err().to_string();
    let strange = error(&[daemon("x-sd", "p9", "")], &wishes());
    assert!(
        strange.contains("Disk-1: it has another password for main-dir")
            && strange.contains("Tape: it has no Device LTO"),
        "{strange}"
    );
    let mut misspelled = daemon("x-sd", "p9", "");
    misspelled.storage = Some("Disk1".to_owned());
    assert_eq!(
        error(&[misspelled], &wishes()),
        "the Director has no Storage \"Disk1\"; did you mean \"Disk-1\"?"
    );
    let mut unknown = wishes();
    unknown.groups = vec![("A".to_owned(), vec!["Disk1".to_owned()])];
    assert!(error(&[], &unknown).contains("did you mean \"Disk-1\"?"));
    let same = director("").storages[0].password.reveal().to_owned();
    let twins = [daemon("a-sd", &same, ""), daemon("b-sd", &same, "")];
    assert!(error(&twins, &wishes()).contains("several Storage Daemons could be the Director's Disk-1 (a-sd, b-sd)"));
    let named = [daemon("disk-1-sd", &same, ""), daemon("b-sd", &same, "")];
    assert!(adopt(&director(""), &named, &wishes()).is_ok());
}

#[test]
fn the_traps_of_a_directors_configuration_are_told() {
    let (Loaded { model, .. }, _) = adopted(&director(""), &[], &wishes());
    let known = [StorageName::new("Disk-2").unwrap()].into();
    let told = |more: &str| {
        let problems = super::super::traps(&model, &director(more), Path::new("dir.conf"), Some(&known));
        problems.iter().map(ToString::to_string).collect::<String>()
    };
    let bare = told("");
    assert!(
        bare.contains("none of its Storage resources leads to sdgroup, at port 9104"),
        "{bare}"
    );
    assert!(
        bare.contains("leads straight to Disk-1, with the Media Type File, and the ledger knows none of its Volumes\n")
            && bare.contains("leads straight to Disk-2, with the Media Type File\n"),
        "{bare}"
    );
    let storage = "Storage {\n Name = All\n Address = localhost\n SDPort = 9104\n Password = wrong\n Device = Chgr2\n Media Type = File2\n}\n\
        Pool {\n Name = P\n Storage = All, Tape\n}\nClient {\n Name = c\n Address = c.example.org\n}\n";
    let all = told(storage);
    for words in [
        "the Storage All has the port of the group DiskGroup, and another password",
        "Maximum Concurrent Jobs = 1, for 2 storages together\n --> dir.conf\n  = advice: the default is 1: write Maximum Concurrent Jobs = 40",
        "has the Device Chgr2, the group DiskGroup has Chgr",
        "has the Media Type File2, the group DiskGroup has File",
        "the Address localhost, which the Client at c.example.org is told to call",
        "the Pool \"P\" names All and other storages: All, Tape",
        "SD Connect Timeout is 30 minutes",
    ] {
        assert!(all.contains(words), "{words}\n{all}");
    }
    assert!(!all.contains("none of its Storage resources"), "{all}");
    let resource = super::super::director_resources(
        &model,
        None,
        super::super::Address {
            host: "sdg.example.org",
            said: true,
        },
        super::super::Paste {
            passwords: true,
            director: None,
        },
    );
    let good = told(&format!("{resource}Director {{\n SD Connect Timeout = 1 min\n}}\n"));
    assert!(!good.contains("group DiskGroup"), "{good}");
}

#[test]
fn whose_configuration_it_is_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.conf");
    std::fs::write(&file, format!("{DIRECTOR}Job {{ Name = J }}\n")).unwrap();
    assert!(matches!(super::super::read(&file), Ok(Daemon::Director(_))));
    std::fs::write(&file, "Storage { Name = S }\nDevice { Name = D }\n").unwrap();
    assert!(matches!(super::super::read(&file), Ok(Daemon::Storage(_))));
    std::fs::write(&file, "Director { Name = S }\n").unwrap();
    assert!(super::super::read(&file).is_err());
}
