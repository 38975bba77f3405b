//! Rollback to an earlier version, and forward again.

use std::collections::BTreeSet;
use std::sync::Arc;

use bulkhead_runtime::Version;
use bulkhead_store::{Activation, How};

use super::{Application, Deploy, DeployError, DeployOptions, Deployed, Maintenance};
use crate::application::versions::HISTORY;

/// The minimum number of hash digits that name a version.
const DIGITS_MIN: usize = 4;

/// One activation of a version.
#[derive(Debug, Clone, serde::Serialize)]
pub struct VersionReport {
    /// The version, as `Bulkhead-Version` shows it.
    pub version: String,
    /// Its SHA-256.
    pub sha256: String,
    /// It is the version that serves.
    pub active: bool,
    /// Its file is kept: `bulkhead rollback` can go to it.
    pub kept: bool,
    /// The cause: `start`, `deploy`, `rollback` or `return`.
    pub how: &'static str,
    /// Who did it.
    pub author: String,
    /// The author's note.
    pub note: String,
    /// When: RFC 3339, UTC.
    pub at: String,
}

impl Application {
    /// The activations of a service's versions, newest first, at most `count`.
    ///
    /// # Errors
    ///
    /// See [`DeployError`].
    pub fn versions(&self, name: &str, count: u32) -> Result<Vec<VersionReport>, DeployError> {
        let version_database =
            self.version_database(name).ok_or_else(|| DeployError::Unknown(name.to_owned()))?;
        let activations = version_database.activations(count)?;
        let report = |(place, activation): (usize, Activation)| {
            let version = Version::from_sha256(&activation.sha256);
            VersionReport {
                version: version.as_ref().map(Version::to_string).unwrap_or_default(),
                active: place == 0,
                kept: version.is_some_and(|version| self.versions.has(name, &version)),
                sha256: activation.sha256,
                how: activation.how.name(),
                author: activation.author,
                note: activation.note,
                at: activation.at,
            }
        };
        Ok(activations.into_iter().enumerate().map(report).collect())
    }

    /// Goes back to the previously active version, or to the version whose hash begins with `to`. Migrations that the target does not know
    /// are undone by the reverse SQL of the current version.
    ///
    /// # Errors
    ///
    /// See [`DeployError`]. The current version still serves, unless the error says otherwise.
    pub fn rollback(
        self: &Arc<Self>,
        _only: &Maintenance<'_>,
        name: &str,
        to: Option<&str>,
        options: &DeployOptions,
    ) -> Result<Deployed, DeployError> {
        let version_database =
            self.version_database(name).ok_or_else(|| DeployError::Unknown(name.to_owned()))?;
        let version = find(name, &version_database.activations(HISTORY)?, to)?;
        let bytes = self.versions.read(name, &version).map_err(|error| {
            DeployError::NoVersion(format!(
                "the component of {version} is not kept any more ({error}): deploy it from its file"
            ))
        })?;
        Deploy::of(self, name, How::Rollback, options)?.run(&bytes)
    }
}

/// Finds the requested version.
fn find(name: &str, activations: &[Activation], to: Option<&str>) -> Result<Version, DeployError> {
    let none = |why: String| DeployError::NoVersion(format!("{why}; `bulkhead versions {name}` lists them"));
    let active = activations.first().map(|active| active.sha256.as_str()).unwrap_or_default();
    let returned =
        |place: usize| activations.get(place).is_some_and(|activation| activation.how == How::Return);
    let hashes = || activations.iter().map(|activation| activation.sha256.as_str());
    let found = match to {
        // A version that failed its probation is chosen only by its hash.
        None => (0..activations.len())
            .filter(|place| !place.checked_sub(1).is_some_and(&returned))
            .filter_map(|place| Some(activations.get(place)?.sha256.as_str()))
            .find(|sha256| *sha256 != active)
            .ok_or_else(|| none(format!("{name} had no other version before")))?,
        Some(prefix) if prefix.len() < DIGITS_MIN => {
            return Err(none(format!("{prefix:?} has fewer than {DIGITS_MIN} digits")));
        }
        Some(prefix) => {
            let found: BTreeSet<&str> = hashes().filter(|sha256| sha256.starts_with(prefix)).collect();
            let mut found = found.into_iter();
            match (found.next(), found.next()) {
                (Some(only), None) => only,
                (None, _) => return Err(none(format!("{name} had no version {prefix:?}"))),
                _ => return Err(none(format!("{prefix:?} begins more than one version of {name}"))),
            }
        }
    };
    Version::from_sha256(found).ok_or_else(|| none(format!("{found:?} is no version")))
}

#[cfg(test)]
mod tests {
    use bulkhead_store::{Activation, How};

    use super::find;

    fn activation(sha256: &str) -> Activation {
        Activation {
            sha256: sha256.repeat(64 / sha256.len()),
            source: String::new(),
            how: How::Deploy,
            author: String::new(),
            note: String::new(),
            at: String::new(),
        }
    }

    #[test]
    fn rollback_goes_to_the_previous_or_the_named_version() {
        // Newest first.
        let history = ["aaaab", "aaaac", "bb", "aaaac"].map(|start| {
            let filled = format!("{start:0<64}");
            Activation { sha256: filled, ..activation("ab") }
        });
        let found = |to| find("note", &history, to).map(|version| version.sha256().to_owned());
        assert_eq!(found(None).unwrap(), format!("{:0<64}", "aaaac"));
        assert_eq!(found(Some("bb00")).unwrap(), format!("{:0<64}", "bb"));
        assert_eq!(found(Some("aaaac")).unwrap(), format!("{:0<64}", "aaaac"));
        for (to, why) in [
            (Some("aaaa"), "more than one"),
            (Some("bb"), "fewer than 4"),
            (Some("cccc"), "no version \"cccc\""),
        ] {
            let error = found(to).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        // A version that failed its probation is skipped.
        let returned = [
            Activation { how: How::Return, ..history[2].clone() },
            history[1].clone(),
            history[2].clone(),
            history[0].clone(),
        ];
        let before = find("note", &returned, None).map(|version| version.sha256().to_owned());
        assert_eq!(before.unwrap(), history[0].sha256);
        let error = find("note", &history[..1], None).unwrap_err().to_string();
        assert!(error.contains("no other version"), "{error}");
    }
}
