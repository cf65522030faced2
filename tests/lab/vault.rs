//! A changer with slots beside a storage's files: two drives and four slots, played by Bacula's script `disk-changer`.

use super::Storage;
use super::resources::{GROUP_DEVICE, GROUP_MEDIA_TYPE, folder, quoted, resource};
use std::fs;
use std::path::Path;

/// The name that each storage has for it.
pub(crate) const VAULT: &str = "Vault";
pub(crate) const SLOTS: usize = 4;
const DRIVES: usize = 2;

/// The barcode in a slot, from 1, of a storage's vault.
pub(crate) fn barcode(storage: &str, slot: usize) -> String {
    format!("{storage}-Tape-{slot}")
}

/// The Director's Storage resources for one storage of the group: name, Device and Media Type.
pub(super) fn for_director(storage: &Storage) -> [(String, String, &'static str); 2] {
    let name = &storage.name;
    [
        (format!("Vault-{name}"), format!("\"{name}/{VAULT}\""), VAULT),
        (
            format!("Only-{name}"),
            format!("\"{name}/{GROUP_DEVICE}\""),
            GROUP_MEDIA_TYPE,
        ),
    ]
}

/// The storage's own part, and the files of the changer; `script` plays it.
pub(super) fn of_storage(storage: &Storage, script: &Path) -> String {
    let place = storage.folder.join("vault");
    fs::create_dir_all(&place).expect("the vault's folder");
    let barcodes: Vec<_> = (1..=SLOTS)
        .map(|slot| format!("{slot}:{}", barcode(&storage.name, slot)))
        .collect();
    fs::write(place.join("barcodes"), barcodes.join("\n") + "\n").expect("the barcodes");
    for slot in 1..=SLOTS {
        fs::write(place.join(format!("slot{slot}")), "").expect("an empty tape");
    }
    let control = place.join("conf");
    fs::write(&control, format!("maxslot={SLOTS}\nmaxdrive={}\n", DRIVES - 1)).expect("the changer's conf");
    let command = format!("/bin/sh {} %c %o %S %a %d", script.display());
    let drives: Vec<_> = (0..DRIVES)
        .map(|drive| format!("{}-vault-{drive}", storage.name))
        .collect();
    let mut text = String::new();
    resource(
        &mut text,
        "Autochanger",
        &[
            ("Name", VAULT),
            ("Device", &drives.join(", ")),
            ("Changer Command", &quoted(command)),
            ("Changer Device", &folder(&control)),
        ],
    );
    for (index, drive) in drives.iter().enumerate() {
        resource(
            &mut text,
            "Device",
            &[
                ("Name", drive),
                ("Media Type", VAULT),
                ("Device Type", "File"),
                ("Archive Device", &folder(&place.join(format!("drive{index}")))),
                ("Drive Index", &index.to_string()),
                ("Autochanger", "yes"),
                ("Label Media", "no"),
                ("Random Access", "no"),
                ("Removable Media", "yes"),
                ("Automatic Mount", "yes"),
                ("Always Open", "yes"),
            ],
        );
    }
    text
}
