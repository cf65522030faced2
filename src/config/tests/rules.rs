//! What rules mean, and the keys that a group shares with them; and what is wrong with them.

use super::*;

#[test]
fn the_rule_of_the_example_compiles() {
    let indented = EXAMPLE.lines().filter_map(|line| line.strip_prefix("#   "));
    let rule: Vec<&str> = indented.skip_while(|line| *line != "[[Group.Rule]]").collect();
    let rule = rule.join("\n");
    let text = EXAMPLE.replace("\n[Probe]\n", &format!("\n{rule}\n[Probe]\n"));
    let Loaded { model, warnings } = compiled(&text).unwrap_or_else(|problems| panic!("{}", problems[0]));
    assert_eq!(warnings, Vec::new());
    assert_eq!(model.groups[0].rules[0].name, "databases");
}

/// The small configuration with two more storages and these rules.
fn ruled(rules: &str) -> String {
    let storage = |name: &str| format!("[[Storage]]\nName = \"{name}\"\nAddress = \"{name}\"\nPassword = \"x\"\n");
    let storages = storage("File5") + &storage("File6");
    SMALL
        .replace("[[Group]]", &format!("{storages}[[Group]]"))
        .replace("[\"File4\"]", "[\"File4\", \"File5\"]")
        + rules.replace("RULE", "[[Group.Rule]]").as_str()
}

#[test]
fn rules_say_which_jobs_and_how() {
    let text = ruled(
        "RULE\nName = \"databases\"\nJob = [\"db-*\", \"*sql*\"]\nLevel = \"virtual full\"\nType = \"Backup\"\n\
         Storages = [\"File5\"]\nStorageGroupPolicy = \"leastused\"\nPriority = 5\nRULE\nClient = \"x\"\n",
    );
    let storage = "Name = \"File6\"";
    let text = text.replace("[\"File4\", \"File5\"]", "[\"File4\", \"File5\", \"File6\"]");
    assert!(text.contains(storage));
    let Loaded { model, warnings } = compiled(&text).unwrap_or_else(|problems| panic!("{}", problems[0]));
    assert_eq!(warnings, Vec::new());
    let [first, second] = model.groups[0].rules.as_slice() else {
        panic!("two rules");
    };
    assert_eq!((first.name.as_str(), second.name.as_str()), ("databases", "rule 2"));
    assert_eq!(first.jobs, [Glob::new("db-*"), Glob::new("*sql*")]);
    assert_eq!(first.levels, [JobLevel::VirtualFull]);
    assert_eq!(first.types, [JobType::Backup]);
    assert_eq!(first.members.as_ref().unwrap()[0].as_str(), "File5");
    assert_eq!((first.policy, first.priority), (Some(PolicyName::LeastUsed), Some(5)));
    assert_eq!((second.clients.len(), second.priority), (1, None));
}

#[test]
fn a_rule_that_can_never_match_is_warned_of() {
    let never = |rules: &str| {
        let shown = shown(&ruled(rules));
        shown.matches("this rule can never match").count()
    };
    let table = [
        ("RULE\nJob = \"a*\"\nRULE\nJob = \"ab*\"", 1),
        ("RULE\nJob = \"ab*\"\nRULE\nJob = \"a*\"", 0),
        ("RULE\nPriority = 3\nRULE\nJob = \"a*\"\nRULE\nLevel = \"Full\"", 2),
        (
            "RULE\nJob = [\"a*\", \"b*\"]\nRULE\nJob = [\"b1\", \"a1\"]\nClient = \"x\"",
            1,
        ),
        ("RULE\nJob = \"a*\"\nClient = \"y\"\nRULE\nJob = \"a1\"", 0),
        ("RULE\nLevel = [\"Full\", \"Differential\"]\nRULE\nLevel = \"Full\"", 1),
        ("RULE\nLevel = \"Full\"\nRULE\nJob = \"a\"", 0),
        ("RULE\nDirector = \"*-dir\"\nRULE\nDirector = \"LAB*\"", 1),
        ("RULE\nDirector = \"prod-*\"", 1),
        // What it fits is not known when it is wrong.
        ("RULE\nLevel = \"Fool\"\nRULE\nJob = \"a\"", 0),
    ];
    for (rules, count) in table {
        assert_eq!(never(rules), count, "{rules}\n{}", shown(&ruled(rules)));
    }
    let shown = shown(&ruled("RULE\nName = \"wide\"\nRULE\nJob = \"a\""));
    assert!(
        shown.contains("warning: this rule can never match: \"wide\" comes before it"),
        "{shown}"
    );
}

#[test]
fn what_is_wrong_with_a_rule_is_told() {
    for (rules, told) in [
        (
            "RULE\nStorages = [\"File6\"]",
            "the storage \"File6\" is not in this group",
        ),
        ("RULE\nStorages = []", "this rule leaves no storage to its jobs"),
        ("RULE\nLevel = \"Incremntal\"", "did you mean \"incremental\"?"),
        ("RULE\nType = \"Buckup\"", "did you mean \"backup\"?"),
        ("RULE\nJob = []", "Job is empty, and no job would ever fit"),
        ("RULE\nJobs = \"a\"", "did you mean Job?"),
        ("RULE\nPriority = 0", "Priority is out of range"),
    ] {
        let shown = shown(&ruled(rules));
        assert!(shown.contains("error: ") && shown.contains(told), "{rules}: {shown}");
    }
}

#[test]
fn a_group_says_how_it_minds_homes_and_room() {
    let text = ruled("RULE\nLocality = \"Require\"\nRoomForJob = \"ignore\"").replace(
        "[[Group]]",
        "[[Group]]\nLocality = \"prefer\"\nRoomForJob = \"REQUIRE\"",
    );
    let text = text.replace("[\"File4\", \"File5\"]", "[\"File4\", \"File5\", \"File6\"]");
    let Loaded { model, warnings } = compiled(&text).unwrap_or_else(|problems| panic!("{}", problems[0]));
    assert_eq!(warnings, Vec::new());
    let group = &model.groups[0];
    assert_eq!(
        (group.locality, group.room_for_job),
        (model::Locality::Prefer, model::RoomForJob::Require)
    );
    let rule = &group.rules[0];
    assert_eq!(
        (rule.locality, rule.room_for_job),
        (Some(model::Locality::Require), Some(model::RoomForJob::Ignore))
    );
    let default = compiled(SMALL).unwrap().model;
    assert_eq!(
        (default.groups[0].locality, default.groups[0].room_for_job),
        (model::Locality::Off, model::RoomForJob::Prefer)
    );
    let wrong = changed("Storages =", "Locality = \"prefr\"\nStorages =");
    assert!(wrong.contains("did you mean \"prefer\"?"), "{wrong}");
}
