//! Manifests for tests: the real ones of the project, with some values changed.

use std::path::Path;

use toml::{Table, Value};

use crate::paths;

/// A manifest, as a tree of values.
#[derive(Debug, Clone)]
pub struct Manifest {
    table: Table,
}

impl Manifest {
    /// The shop's own manifest, `bulkhead.toml`. Passwords cost next to nothing to hash, so that tests spend no time on it.
    pub fn shop() -> Manifest {
        Manifest::read(&paths::root().join("bulkhead.toml"))
            .set("service.user.config.argon2_memory_kib", 8)
            .set("service.user.config.argon2_iterations", 1)
    }

    /// The guests that misbehave, and the one that calls them.
    pub fn guests() -> Manifest {
        Manifest::read(&paths::root().join("tests/guests/bulkhead.toml"))
    }

    /// The guests that publish and take events as a test tells them.
    pub fn events() -> Manifest {
        Manifest::read(&paths::root().join("tests/guests/events.toml"))
    }

    /// The guest of which there are many versions, and the one that takes its events.
    pub fn changing() -> Manifest {
        Manifest::read(&paths::root().join("tests/guests/changing.toml"))
    }

    /// Reads a manifest and makes it independent of its place: each source becomes the component that was built of it, and each
    /// database a file beside the manifest.
    fn read(file: &Path) -> Manifest {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut table: Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for (name, service) in services(&mut table) {
            let source = service["source"].as_str().expect("a source is a text");
            let crate_folder = Path::new(source).file_stem().expect("a source has a name");
            let component = paths::component(crate_folder.to_str().expect("a source is text"));
            service["source"] = component.to_str().expect("a path is text").into();
            service["database"] = format!("sqlite:data/{name}.db").into();
        }
        Manifest { table }
    }

    /// Leaves only these services.
    #[must_use]
    pub fn only(mut self, names: &[&str]) -> Manifest {
        self.table["service"].as_table_mut().expect("services").retain(|name, _| names.contains(&name));
        self
    }

    /// The names of its services.
    pub fn services(&self) -> Vec<String> {
        self.table["service"].as_table().expect("services").keys().cloned().collect()
    }

    /// Adds another manifest's services.
    #[must_use]
    pub fn and(mut self, mut other: Manifest) -> Manifest {
        let services = self.table["service"].as_table_mut().expect("services");
        services.extend(std::mem::take(other.table["service"].as_table_mut().expect("services")));
        self
    }

    /// Sets a value, given by its path such as `service.product.limits.queue`.
    #[must_use]
    pub fn set(mut self, path: &str, value: impl Into<Value>) -> Manifest {
        let mut keys: Vec<&str> = path.split('.').collect();
        let last = keys.pop().expect("a path has a key");
        let mut table = &mut self.table;
        for key in keys {
            let entry = table.entry(key).or_insert_with(|| Table::new().into());
            table = entry.as_table_mut().unwrap_or_else(|| panic!("{key} of {path} is no table"));
        }
        table.insert(last.to_owned(), value.into());
        self
    }

    /// Removes a value, given by its path.
    #[must_use]
    pub fn without(mut self, path: &str) -> Manifest {
        let (above, last) = path.rsplit_once('.').expect("a path has two parts");
        let table = above.split('.').fold(&mut self.table, |table, key| {
            table
                .get_mut(key)
                .and_then(Value::as_table_mut)
                .unwrap_or_else(|| panic!("{path}: there is no {key}"))
        });
        assert!(table.remove(last).is_some(), "there is no {path}");
        self
    }

    /// The text.
    pub fn text(&self) -> String {
        self.table.to_string()
    }
}

fn services(table: &mut Table) -> impl Iterator<Item = (&String, &mut Table)> {
    let services = table.get_mut("service").and_then(Value::as_table_mut).expect("a manifest has services");
    services.iter_mut().map(|(name, service)| (name, service.as_table_mut().expect("a service is a table")))
}
