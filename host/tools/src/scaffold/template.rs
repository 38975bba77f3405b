//! The templates, and the values of their `{{…}}` placeholders.

use std::path::Path;

use super::sources::Sources;
use super::workspace::Workspace;

/// The files of a crate, with their paths in its folder.
pub(super) const CRATE: [(&str, &str); 8] = [
    ("Cargo.toml", include_str!("template/crate.toml")),
    ("migrations/V0001__create_entry.sql", include_str!("template/migrations/V0001__create_entry.sql")),
    ("src/events.rs", include_str!("template/src/events.rs")),
    ("src/http.rs", include_str!("template/src/http.rs")),
    ("src/lib.rs", include_str!("template/src/lib.rs")),
    ("src/rules.rs", include_str!("template/src/rules.rs")),
    ("src/store.rs", include_str!("template/src/store.rs")),
    ("tests/{{name}}.rs", include_str!("template/tests/service.rs")),
];

/// A new application's manifest, before its first service.
pub(super) const MANIFEST: &str = include_str!("template/application/manifest.toml");
/// Its `rust-toolchain.toml`.
pub(super) const TOOLCHAIN: &str = include_str!("template/application/toolchain.toml");
/// Its `rustfmt.toml`: the templates are formatted with this project's own.
pub(super) const FORMAT: &str = include_str!("../../../../rustfmt.toml");
/// Its `.gitignore`.
pub(super) const IGNORED: &str = include_str!("template/application/ignored");

const WORKSPACE: &str = include_str!("template/application/workspace.toml");
const SECTION: &str = include_str!("template/section.toml");

/// The `Cargo.toml` of a new application.
pub(super) fn workspace(sources: &str) -> String {
    WORKSPACE.replace("{{sources}}", &escaped(sources))
}

/// The values of a template's placeholders.
#[derive(Debug, Clone)]
pub(super) struct Values(Vec<(&'static str, String)>);

impl Values {
    pub(super) fn new(
        name: &str,
        application: &str,
        workspace: &Workspace,
        sources: &Sources,
        folder: &Path,
    ) -> Self {
        let crate_dir = folder.join("components").join(name);
        let root = escaped(&sources.from(&crate_dir, &workspace.root));
        let dependency = |name: &str, path: &str| {
            if workspace.offers("dependencies", name) {
                "{ workspace = true }".to_owned()
            } else {
                format!("{{ path = \"{root}/{path}\" }}")
            }
        };
        Self(vec![
            ("{{name}}", name.to_owned()),
            ("{{application}}", component_name(application)),
            ("{{package}}", package(workspace)),
            (
                "{{lints}}",
                if workspace.has_lints() { "[lints]\nworkspace = true\n\n" } else { "" }.to_owned(),
            ),
            ("{{sdk}}", dependency("bulkhead-sdk", "components/sdk")),
            ("{{testing}}", dependency("bulkhead-testing", "host/testing")),
            ("{{component}}", component_name(name)),
            ("{{wit}}", format!("{root}/wit")),
        ])
    }

    /// The template with its placeholders replaced.
    pub(super) fn fill(&self, template: &str) -> String {
        self.0.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// The service's section of the manifest.
    pub(super) fn section(&self, data: &str) -> String {
        self.fill(&SECTION.replace("{{data}}", &escaped(data)))
    }
}

/// A package's metadata: taken from the workspace if it has them, otherwise the minimum.
fn package(workspace: &Workspace) -> String {
    let defaults = [
        ("version", Some("\"0.1.0\"")),
        ("edition", Some("\"2024\"")),
        ("rust-version", None),
        ("publish", Some("false")),
    ];
    let lines = defaults.iter().filter_map(|(key, default)| {
        if workspace.offers("package", key) {
            Some(format!("{key}.workspace = true\n"))
        } else {
            default.map(|default| format!("{key} = {default}\n"))
        }
    });
    lines.collect()
}

/// A new application has the name of its folder.
pub(super) fn application_name(folder: &Path) -> String {
    component_name(folder.file_name().and_then(|name| name.to_str()).unwrap_or_default())
}

/// A name in WIT syntax: words joined by hyphens. Each word has lower-case letters and digits, and begins with a letter.
fn component_name(text: &str) -> String {
    let mut name = String::new();
    let lower = text.to_ascii_lowercase();
    for word in lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let begins_well = word.starts_with(|letter: char| letter.is_ascii_lowercase());
        match (name.is_empty(), begins_well) {
            (true, false) => name.push_str("app"),
            (false, true) => name.push('-'),
            _ => {}
        }
        name.push_str(word);
    }
    if name.is_empty() { "application".to_owned() } else { name }
}

/// A text escaped for a quoted TOML string.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn component_name_is_valid_in_wit() {
        for (text, expected) in [
            ("shop", "shop"),
            ("My Shop", "my-shop"),
            ("notes-2", "notes2"),
            ("2nd--try_", "app2nd-try"),
            ("", "application"),
            ("…", "application"),
        ] {
            assert_eq!(component_name(text), expected, "{text:?}");
        }
    }

    /// Then artifacts that are built here need no second build there, and they are the tested ones.
    #[test]
    fn new_application_builds_with_the_settings_of_this_workspace() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let read =
            |name: &str| std::fs::read_to_string(root.join(name)).unwrap().parse::<toml::Table>().unwrap();
        let (mut ours, theirs): (_, toml::Table) = (read("Cargo.toml"), workspace("/src").parse().unwrap());
        // This profile is for `make mutation`, which works only on this workspace.
        ours["profile"].as_table_mut().unwrap().remove("mutants").unwrap();
        assert_eq!(theirs["profile"], ours["profile"]);
        assert_eq!(theirs["workspace"]["resolver"], ours["workspace"]["resolver"]);
        assert_eq!(theirs["workspace"]["package"], ours["workspace"]["package"]);
        let channel: toml::Table = TOOLCHAIN.parse().unwrap();
        assert_eq!(channel["toolchain"], read("rust-toolchain.toml")["toolchain"]);
    }
}
