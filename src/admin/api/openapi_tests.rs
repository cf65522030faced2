//! The description of the interface says what the interface does: each answer has the described form, no more and no
//! less.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::tests::{CONFIG, SECRETS, Site, facts};
use crate::session::{Ends, Listed, LiveJob, SessionFacts};
use crate::telemetry::event::SessionKind;
use crate::types::{DirectorName, GroupName, StorageName, VolumeName};
use crate::volumes::Assignment;

/// A request of each kind that is answered, and one that is not, if there is one.
fn requests() -> Vec<Operation> {
    let get = |path: &'static str| Some((path, None));
    let put = |path: &'static str, body: Value| Some((path, Some(body)));
    vec![
        ("get", "/api/v1/process", get("/api/v1/process"), None),
        ("get", "/api/v1/groups", get("/api/v1/groups"), None),
        ("get", "/api/v1/storages", get("/api/v1/storages"), None),
        (
            "get",
            "/api/v1/storages/{name}",
            get("/api/v1/storages/File4"),
            Some((get("/api/v1/storages/File9"), 404)),
        ),
        (
            "put",
            "/api/v1/storages/{name}/state",
            put(
                "/api/v1/storages/File4/state",
                json!({"state": "sealed", "by": "ann", "reason": "full", "seconds": 9}),
            ),
            Some((
                put("/api/v1/storages/File4/state", json!({"state": "shut", "by": "ann"})),
                400,
            )),
        ),
        ("get", "/api/v1/jobs", get("/api/v1/jobs"), None),
        ("get", "/api/v1/queue", get("/api/v1/queue"), None),
        (
            "post",
            "/api/v1/explain",
            put("/api/v1/explain", json!({"job": "Nightly"})),
            Some((put("/api/v1/explain", json!({"job": "Nightly", "group": "x"})), 404)),
        ),
        ("get", "/api/v1/failovers", get("/api/v1/failovers"), None),
        ("get", "/api/v1/sessions", get("/api/v1/sessions"), None),
        (
            "delete",
            "/api/v1/sessions/{number}",
            get("/api/v1/sessions/1"),
            Some((get("/api/v1/sessions/99"), 404)),
        ),
        (
            "get",
            "/api/v1/volumes",
            get("/api/v1/volumes?storage=File4&most=1"),
            Some((get("/api/v1/volumes?storge=File4"), 400)),
        ),
        ("get", "/api/v1/traffic", get("/api/v1/traffic"), None),
        ("get", "/api/v1/config", get("/api/v1/config"), None),
        // What succeeds is seen where there is a process.
        ("post", "/api/v1/reload", None, Some((get("/api/v1/reload"), 409))),
        ("post", "/api/v1/handover", None, Some((get("/api/v1/handover"), 409))),
        ("get", "/api/v1/peers", get("/api/v1/peers"), None),
        ("get", "/api/v1/overview", get("/api/v1/overview"), None),
    ]
}

/// Method and path as described, a request that succeeds, and one that fails so.
type Operation = (&'static str, &'static str, Asked, Option<(Asked, u16)>);

/// A path and a body.
type Asked = Option<(&'static str, Option<Value>)>;

/// The one that does not end, which the table above has not.
const EVENTS: &str = "/api/v1/events";

/// A site with something of everything that can be made from outside of the sessions.
async fn furnished() -> (Site, LiveJob, Listed, CancellationToken) {
    let site = Site::new();
    let context = &site.desk.context;
    let live = context.jobs.enter(facts(17));
    live.placed_on(StorageName::new("File4").unwrap());
    let end = CancellationToken::new();
    let facts = SessionFacts {
        kind: SessionKind::Console,
        peer: "192.0.2.1:4242".parse().unwrap(),
        director: DirectorName::new("lab-dir").unwrap(),
        group: GroupName::new("Files").unwrap(),
        job: None,
    };
    let listed = context.listed.enter(facts, Ends::Token(end.clone()));
    for volume in ["Vol1", "Vol2"] {
        let assignment = Assignment {
            volume: VolumeName::new(volume).unwrap(),
            storage: StorageName::new("File4").unwrap(),
            media_type: None,
            pool: None,
        };
        context.ledger.assign(assignment, "ann").await.unwrap();
    }
    (site, live, listed, end)
}

#[tokio::test]
async fn every_answer_has_the_described_form() {
    let (site, _live, _listed, end) = furnished().await;
    let document = site.get("/api/v1/openapi.json").await;
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    let mut asked = BTreeSet::from([("get".to_owned(), EVENTS.to_owned())]);
    for (method, path, good, bad) in requests() {
        asked.insert((method.to_owned(), path.to_owned()));
        let told = &document["paths"][path][method];
        assert!(
            told["description"].is_string() || told["summary"].is_string(),
            "{method} {path}: {told}"
        );
        for (wanted, expected) in [Some((good, 200)), bad].into_iter().flatten() {
            let Some((uri, body)) = wanted else { continue };
            let (status, answer) = site.ask(&method.to_uppercase(), uri, body).await;
            assert_eq!(status, expected, "{method} {uri}: {answer}");
            let response = &told["responses"][status.to_string()];
            let schema = &response["content"]["application/json"]["schema"];
            let mut problems = Vec::new();
            compare(&document, schema, &answer, uri, &mut problems);
            assert!(problems.is_empty(), "{method} {uri}: {problems:?}\n{answer:#}");
        }
    }
    assert!(end.is_cancelled(), "the session was asked to end");
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (method.clone(), path.clone()))
        })
        .collect();
    assert_eq!(described, asked, "each of what is described is asked here");
}

#[tokio::test]
async fn events_are_overviews_as_described() {
    let (site, _live, _listed, _end) = furnished().await;
    let document = site.get("/api/v1/openapi.json").await;
    let mut stream = UnixStream::connect(site.path()).await.unwrap();
    let request = format!("GET {EVENTS} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut event = String::new();
    let mut seen = BTreeSet::new();
    while seen.len() < 2 {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some(name) = line.strip_prefix("event: ") {
            name.clone_into(&mut event);
        }
        let Some(data) = line.strip_prefix("data: ") else {
            continue;
        };
        let schema = match event.as_str() {
            "overview" => "OverviewShown",
            "traffic" => "TrafficShown",
            other => panic!("an event {other}"),
        };
        let answer: Value = serde_json::from_str(data).unwrap();
        let mut problems = Vec::new();
        compare(
            &document,
            &document["components"]["schemas"][schema],
            &answer,
            schema,
            &mut problems,
        );
        assert!(problems.is_empty(), "{problems:?}\n{answer:#}");
        seen.insert(schema);
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_as_such() {
    let site = Site::new();
    let (status, answer) = site.ask("GET", "/api/v1/storage", None).await;
    assert_eq!(status, 404);
    assert!(answer["error"].as_str().unwrap().contains("openapi.json"), "{answer}");
    assert_eq!(site.ask("POST", "/api/v1/storages", None).await.0, 405);
}

#[tokio::test]
async fn volumes_come_in_pieces() {
    let (site, ..) = furnished().await;
    let first = site.get("/api/v1/volumes?most=1").await;
    assert_eq!((&first["total"], &first["next_after"]), (&json!(2), &json!("Vol1")));
    let second = site.get("/api/v1/volumes?most=1&after=Vol1").await;
    assert_eq!(second["volumes"][0]["volume"], "Vol2");
    assert_eq!(second["next_after"], Value::Null);
    assert_eq!(site.get("/api/v1/volumes?storage=File5").await["total"], 0);
}

#[tokio::test]
async fn the_configuration_is_shown_without_its_secrets() {
    let site = Site::new();
    let config = site.get("/api/v1/config").await;
    assert_eq!(config["groups"][0]["shadow_policy"], "RoundRobin");
    assert_eq!(config["storages"][0]["limits"]["jobs"], 2);
    let rule = &config["groups"][0]["rules"][0];
    assert_eq!(
        (&rule["clients"], &rule["storages"]),
        (&json!(["laptop-*"]), &json!(["File5"]))
    );
    assert_eq!(
        (&config["log_format"], &config["tls"]["psk"]),
        (&json!("json"), &json!("required"))
    );
    assert_eq!(config["history"]["maximum_jobs"], 77);
    assert_eq!(config["store"]["hosts"][1]["host"], "/run/postgresql");
    let shown = config.to_string();
    for secret in SECRETS {
        assert!(CONFIG.contains(secret), "{secret} is no secret of the configuration");
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// Notes where `value` is not what `schema` says: other types, fields that are missing, fields that nobody described.
fn compare(document: &Value, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        let Some(meant) = document.pointer(pointer) else {
            return problems.push(format!("{at}: nothing is at {reference}"));
        };
        return compare(document, meant, value, at, problems);
    }
    if let Some(ways) = schema["oneOf"].as_array() {
        let fits = |way: &&Value| {
            let mut problems = Vec::new();
            compare(document, way, value, at, &mut problems);
            problems.is_empty()
        };
        if ways.iter().filter(fits).count() != 1 {
            problems.push(format!("{at}: none of its forms, or several"));
        }
        return;
    }
    let parts = parts(document, schema);
    let types: Vec<&str> = match &parts.first().unwrap_or(&schema)["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return problems.push(format!("{at}: nothing is said of it")),
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) if types.contains(&"number") => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.contains(&is) {
        return problems.push(format!("{at}: it is {is}, and should be {types:?}"));
    }
    for (at_element, element) in value.as_array().into_iter().flatten().enumerate() {
        compare(
            document,
            &schema["items"],
            element,
            &format!("{at}[{at_element}]"),
            problems,
        );
    }
    let Some(object) = value.as_object() else { return };
    let described = |name: &str| parts.iter().find_map(|part| part["properties"].get(name));
    for (name, value) in object {
        match described(name) {
            Some(schema) => compare(document, schema, value, &format!("{at}.{name}"), problems),
            None => problems.push(format!("{at}.{name}: nobody described it")),
        }
    }
    let required = parts.iter().filter_map(|part| part["required"].as_array()).flatten();
    for name in required
        .filter_map(Value::as_str)
        .filter(|name| !object.contains_key(*name))
    {
        problems.push(format!("{at}.{name}: it is missing"));
    }
}

/// A schema that is made of several, and each that is made of itself alone.
fn parts<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        let meant = document.pointer(reference.trim_start_matches('#'));
        return meant.map_or_else(Vec::new, |meant| parts(document, meant));
    }
    match schema["allOf"].as_array() {
        Some(all) => all.iter().flat_map(|part| parts(document, part)).collect(),
        None => vec![schema],
    }
}
