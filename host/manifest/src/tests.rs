use std::path::Path;

use super::{Manifest, Source};

fn parse(text: &str) -> Result<Manifest, String> {
    Manifest::parse(Path::new("app/bulkhead.toml"), text).map_err(|mistakes| {
        mistakes.iter().map(|mistake| format!("{}: {}\n", mistake.line, mistake.message)).collect()
    })
}

const GOOD: &str = r#"
[application]
name = "notes"
version = "1.2.0-beta.1+build.7"
listen = "127.0.0.1:8081"

[service.note]
source = "components/note"
routes = ["/notes/..."]
database = "sqlite:data/note.db"
publishes = ["note.written"]

[service.note.limits]
memory = "32MiB"
request_timeout = "500ms"
queue = 7

[service.note.config]
greeting = "hello"
cost_kib = 19456

[service.front]
source = "front.wasm"
calls = ["note"]
"#;

#[test]
fn whole_manifest_is_read() {
    let manifest = parse(GOOD).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.listen.port()), ("notes", 8081));
    assert_eq!(manifest.version.to_string(), "1.2.0-beta.1+build.7");
    let note = &manifest.services["note"];
    assert_eq!(note.source, Source::Crate("app/components/note".into()));
    assert_eq!(note.database.as_deref(), Some(Path::new("note.db")));
    assert_eq!(note.spec.limits.memory, 32 << 20);
    assert_eq!(note.spec.limits.request_timeout.as_millis(), 500);
    assert_eq!(note.spec.limits.queue, 7);
    assert_eq!(note.spec.config["cost_kib"], "19456");
    let front = &manifest.services["front"];
    assert_eq!(front.source, Source::File("app/front.wasm".into()));
    assert!(front.database.is_none());
}

#[test]
fn every_mistake_is_reported_with_its_line() {
    let text = GOOD
        .replace("\"1.2.0-beta.1+build.7\"", "\"1.2\"")
        .replace("\"127.0.0.1:8081\"", "8081")
        .replace("\"/notes/...\"", "\"notes\"")
        .replace("sqlite:data", "postgres:data")
        .replace("\"32MiB\"", "32")
        .replace("queue = 7", "quue = 7")
        .replace("[\"note\"]", "[\"nobody\"]");
    let report = parse(&text).unwrap_err();
    for expected in [
        "4: application.version: \"1.2\" is not a semantic version",
        "5: application.listen is a string, and this is a number",
        "9: service.note.routes: \"notes\" begins with /",
        "10: service.note.database: \"postgres:data/note.db\" is no database",
        "14: service.note.limits.memory has its unit with it",
        "16: [service.note.limits] has an entry `quue` that is not known",
        "24: service.front.calls: there is no service \"nobody\"; there are front, note",
    ] {
        assert!(report.contains(expected), "{expected}\nis not in\n{report}");
    }
    assert_eq!(report.lines().count(), 7, "{report}");
}

#[test]
fn clients_and_operators_have_separate_addresses() {
    for (listen, admin, is_fine) in [
        ("127.0.0.1:8081", "127.0.0.1:8081", false),
        ("0.0.0.0:8081", "127.0.0.1:8081", false),
        ("127.0.0.1:8081", "127.0.0.1:8082", true),
        ("127.0.0.2:8081", "127.0.0.1:8081", true),
        ("127.0.0.1:0", "127.0.0.1:0", true),
    ] {
        let both = format!("\"{listen}\"\nadmin = \"{admin}\"");
        let read = parse(&GOOD.replace("\"127.0.0.1:8081\"", &both));
        assert_eq!(read.is_ok(), is_fine, "{listen} {admin}: {read:?}");
        if let Err(message) = read {
            assert!(
                message.starts_with("5: application.listen: 127.0.0.1:8081 is the address for operators"),
                "{message}"
            );
        }
    }
}

/// The line of the entry, and not that of its section.
#[test]
fn each_mistake_is_reported_at_the_line_of_its_entry() {
    const TEXT: &str = r#"[application]
name = "notes"
admin = "192.0.2.1:9090"
[application.auth]
keys = "nobody:/keys"
issuer = "notes"
audience = "notes"
revoked_by = "user.gone"
[service.note]
source = "note.wasm"
database = "sqlite:data/note.db"
routes = [
    "/notes",
    "/shared",
]
publishes = [
    "note.written",
    "front.seen",
]
calls = [
    "front",
    "nowhere",
]
[service.note.limits]
queue = 7
memory = "900GiB"
body = "900GiB"
[service.note.entity.note]
select = "SELECT id FROM note"
deleted = "note.gone"
[service.front]
source = "front.wasm"
database = "sqlite:data/front.db"
routes = ["/front", "/shared"]
rebuildable = true
publishes = [
    "note.written",
]
subscribes = [
    "note.written",
    "note.unheard-of",
]
calls = ["note"]
[service.front.replica.copy]
owner = "note"
upsert = "note.changed"
delete = "note.gone"
key = "id"
columns = { id = "text" }
[service.front.replica.other]
owner = "front"
upsert = "front.seen"
key = "id"
columns = { id = "text" }
"#;
    let report = parse(TEXT).unwrap_err();
    let line = |entry: &str| TEXT.lines().position(|line| line.trim() == entry).unwrap() + 1;
    // Where each error is reported: for two services with one route, at the second one by name.
    for (entry, expected) in [
        ("admin = \"192.0.2.1:9090\"", "application.admin: 192.0.2.1:9090 can be reached"),
        ("keys = \"nobody:/keys\"", "application.auth.keys: there is no service"),
        ("revoked_by = \"user.gone\"", "application.auth.revoked_by: no service publishes user.gone"),
        ("\"/shared\",", "service.note.routes: /shared is a route of front already"),
        ("\"front.seen\",", "service.note.publishes: the type front.seen begins with"),
        ("\"nowhere\",", "service.note.calls: there is no service \"nowhere\""),
        ("memory = \"900GiB\"", "service.note.limits.memory is at most"),
        ("body = \"900GiB\"", "service.note.limits.body is at most"),
        ("deleted = \"note.gone\"", "service.note.entity.note.deleted: note does not publish note.gone"),
        (
            "rebuildable = true",
            "service.front: a rebuildable service owns nothing, and this one has publishes",
        ),
        ("\"note.unheard-of\",", "service.front.subscribes: no service publishes note.unheard-of"),
        ("calls = [\"note\"]", "the services call each other in a circle, front → note → front"),
        (
            "upsert = \"note.changed\"",
            "service.front.replica.copy.upsert: note does not publish note.changed",
        ),
        ("delete = \"note.gone\"", "service.front.replica.copy.delete: note does not publish note.gone"),
        ("owner = \"front\"", "service.front.replica.other.owner: \"front\" is no other service"),
    ] {
        let expected = format!("{}: {expected}", line(entry));
        assert!(report.contains(&expected), "{expected}\nis not in\n{report}");
    }
}

#[test]
fn mistakes_between_services_are_reported() {
    for (from, to, expected) in [
        ("publishes = [\"note.written\"]", "calls = [\"front\"]", "in a circle, front → note → front"),
        ("calls = [\"note\"]", "calls = [\"front\"]", "in a circle, front → front"),
        ("calls = [\"note\"]", "routes = [\"/notes/...\"]", "/notes/... is a route of front already"),
        (
            "calls = [\"note\"]",
            "publishes = [\"note.written\"]",
            "note.written is published by front already",
        ),
        ("sqlite:data/note.db", "sqlite:elsewhere/note.db", "is not in the data folder"),
        ("sqlite:data/note.db", "sqlite:data/../note.db", "is not in the data folder"),
        ("\"/notes/...\"", "\"/.well-known/bulkhead/x\"", "is the host's own"),
        ("[service.note]", "[service.Note]", "a service's name has"),
        ("name = \"notes\"", "", "[application] lacks `name`"),
        ("[application]", "[aplication]", "there is no [application]"),
        ("\"500ms\"", "\"500 parsecs\"", "is no duration"),
        ("\"500ms\"", "\"18446744073709551615s\"", "at most an hour"),
    ] {
        let report = parse(&GOOD.replace(from, to)).unwrap_err();
        assert!(report.contains(expected), "{to}: {report}");
    }
    assert!(parse("a = ").unwrap_err().contains("this is not TOML"));
}

/// A service that keeps a replica with these columns.
fn with_columns(columns: &str) -> Result<Manifest, String> {
    parse(&format!(
        "{GOOD}
         subscribes = []
         database = \"sqlite:data/front.db\"
         [service.front.replica.note]
         owner = \"note\"
         upsert = \"note.written\"
         key = \"id\"
         columns = {columns}"
    ))
}

#[test]
fn replica_column_has_a_type_and_may_have_a_default_of_that_type() {
    let manifest = with_columns(
        r#"{ id = "text", a = { type = "text", default = "" }, b = { type = "integer", default = true },
             c = { type = "integer", default = 0x10 }, d = { type = "real", default = 1 }, e = { type = "real", default = -0.5 },
             f = { type = "integer" } }"#,
    );
    let manifest = manifest.unwrap();
    let columns = &manifest.services["front"].replicas[0].columns;
    let defaults: Vec<_> =
        columns.iter().map(|column| (column.name.as_str(), column.default.clone())).collect();
    let expected = [
        ("a", Some(serde_json::json!(""))),
        ("b", Some(serde_json::json!(true))),
        ("c", Some(serde_json::json!(16))),
        ("d", Some(serde_json::json!(1))),
        ("e", Some(serde_json::json!(-0.5))),
        ("f", None),
        ("id", None),
    ];
    assert_eq!(defaults, expected);
}

#[test]
fn invalid_column_type_or_default_is_refused_with_the_allowed_values() {
    let of_type = "a default is of its column's type";
    for (column, why) in [
        (r#"{ type = "text", default = 1 }"#, of_type),
        (r#"{ type = "text", default = ["a"] }"#, of_type),
        (r#"{ type = "integer", default = 1.5 }"#, of_type),
        (r#"{ type = "integer", default = "1" }"#, of_type),
        (r#"{ type = "real", default = true }"#, of_type),
        (r#"{ type = "real", default = nan }"#, of_type),
        (r#"{ type = "date" }"#, "\"text\", \"integer\" or \"real\""),
        (r#"{ default = 1 }"#, "\"text\", \"integer\" or \"real\""),
        (r#"{ type = "text", defualt = "" }"#, "the entries are type, default"),
        ("7", "\"text\", \"integer\" or \"real\""),
    ] {
        let wrong = with_columns(&format!("{{ id = \"text\", a = {column} }}")).unwrap_err();
        assert!(
            wrong.contains("service.front.replica.note.columns") && wrong.contains(why),
            "{column}: {wrong}"
        );
    }
    let wrong = with_columns(r#"{ id = { type = "text", default = "" } }"#).unwrap_err();
    assert!(wrong.contains("note.key") && wrong.contains("remove the default"), "{wrong}");
}
