//! What `[Store]` and `[Peers]` mean, and what is wrong with them.

use super::*;

#[test]
fn the_store_of_the_example_compiles() {
    let store: Vec<&str> = EXAMPLE
        .lines()
        .skip_while(|line| *line != "#   [Store]")
        .map_while(|line| line.strip_prefix("#   "))
        .filter(|line| !line.starts_with("PasswordFile") && !line.starts_with("DbSsl"))
        .collect();
    let text = EXAMPLE.replace("\n[Probe]\n", &format!("\n{}\n[Probe]\n", store.join("\n")));
    let Loaded { model, warnings } = compiled(&text).unwrap_or_else(|problems| panic!("{}", problems[0]));
    assert_eq!(warnings, Vec::new());
    let store = model.store.unwrap();
    assert_eq!(
        (store.hosts.len(), store.hosts[1].host.as_str(), store.hosts[1].port),
        (2, "db2.example.com", 5432)
    );
    assert_eq!(
        (store.name.as_str(), store.user.as_str(), store.ssl_mode),
        ("sdgroup", "sdgroup", model::SslMode::Prefer)
    );
}

#[test]
fn what_is_wrong_with_a_store_is_told() {
    for (lines, told) in [
        ("", "DbAddress is missing in [Store]"),
        ("DbAddress = []", "DbAddress is an empty list"),
        ("DbAddress = \"db1\"", "DbAddress must be a list"),
        ("DbAddress = [\"db 1\"]", "an element of DbAddress is no address"),
        (
            "DbAddress = [\"db1\"]\nDbSslMode = \"verify-full\"",
            "DbSslCa is missing",
        ),
        ("DbAddress = [\"db1\"]\nDbSslMode = \"on\"", "DbSslMode"),
        (
            "DbAddress = [\"db1\"]\nDbSslCa = \"/nowhere.pem\"",
            "cannot read DbSslCa /nowhere.pem",
        ),
        ("DbAddress = [\"db1\"]\nUser = \"x\"", "did you mean DbUser?"),
    ] {
        let shown = shown(&format!("[Store]\n{lines}\n{SMALL}"));
        assert!(shown.contains(told), "{lines}: {shown}");
    }
}

#[test]
fn what_is_wrong_with_peers_is_told() {
    let store = "[Store]\nDbAddress = [\"db1\"]\n";
    let password = "Password = \"0123456789abcdef\"";
    for (store, lines, told) in [
        ("", password, "[Peers] has no effect without a [Store]"),
        (store, "", "[Peers] has no Password"),
        (
            store,
            "Password = \"short\"",
            "the peers' Password is shorter than 16 characters",
        ),
        (store, "Name = \"\"", "Name is empty"),
        (store, "Address = \"a b\"", "Address"),
        (store, "Port = 9103", "SDPort"),
    ] {
        let shown = shown(&format!("{store}[Peers]\n{lines}\n{SMALL}"));
        assert!(shown.contains(told), "{lines}: {shown}");
    }
    // Only what cannot be guessed has to be written.
    let Loaded { model, warnings } =
        compiled(&format!("{store}[Peers]\n{password}\n{SMALL}")).unwrap_or_else(|problems| panic!("{}", problems[0]));
    assert_eq!(warnings, Vec::new());
    let peers = model.peers.unwrap();
    assert_eq!(peers.name.as_str(), peers.address);
    // Commands that only look do not get what systemd keeps for the service, and cannot tell how long it is.
    let credential = format!("{store}[Peers]\nPasswordCredential = \"peers\"\n{SMALL}");
    let looked = compile(&credential, Path::new("sdgroup.toml"), &MachineSecrets::only_checking());
    assert!(looked.is_ok_and(|loaded| loaded.model.peers.is_some_and(|peers| peers.password.is_stand_in())));
    assert_eq!(peers.port, model.listeners[0].address.port());
}

#[test]
fn the_peers_of_the_example_compile() {
    let peers: Vec<&str> = EXAMPLE
        .lines()
        .skip_while(|line| *line != "#   [Peers]")
        .map_while(|line| line.strip_prefix("#   "))
        .filter(|line| !line.starts_with("PasswordFile"))
        .chain(["Password = \"0123456789abcdef\""])
        .collect();
    let more = format!("\n[Store]\nDbAddress = [\"db1\"]\n{}\n[Probe]\n", peers.join("\n"));
    let Loaded { model, warnings } =
        compiled(&EXAMPLE.replace("\n[Probe]\n", &more)).unwrap_or_else(|problems| panic!("{}", problems[0]));
    assert_eq!(warnings, Vec::new());
    let peers = model.peers.unwrap();
    assert_eq!(
        (peers.name.as_str(), peers.address.as_str(), peers.port),
        ("sdgroup-a", "sdgroup-a.example.com", 9103)
    );
}
