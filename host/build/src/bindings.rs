//! The wit-bindgen version that a workspace's guests are built with. It must match this host's wit-component: wit-component decodes what
//! wit-bindgen encodes into a module.

use serde::Deserialize;

/// The wit-bindgen version whose modules this host's wit-component can read. Its patch releases work as well.
pub const WIT_BINDGEN: &str = "0.60.0";

/// The versions in a `Cargo.lock` of the crates that bind guests to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bindings {
    /// The version of the guest SDK.
    pub sdk: String,
    /// The version of the wit-bindgen that the SDK is built with.
    pub wit_bindgen: String,
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Bindings {
    /// Reads the text of a `Cargo.lock`. None if it is not valid, or if no crate in it depends on the SDK.
    pub fn of_lock(text: &str) -> Option<Self> {
        let lock: Lock = toml::from_str(text).ok()?;
        let sdk = lock.package.iter().find(|package| package.name == "bulkhead-sdk")?;
        // The dependency has a version if the file has several versions of it.
        let dependency = sdk.dependencies.iter().find_map(|dependency| {
            let mut words = dependency.split(' ');
            (words.next() == Some("wit-bindgen")).then(|| words.next().map(str::to_owned))
        })?;
        let the_only_one = || {
            let package = lock.package.iter().find(|package| package.name == "wit-bindgen")?;
            Some(package.version.clone())
        };
        Some(Self { sdk: sdk.version.clone(), wit_bindgen: dependency.or_else(the_only_one)? })
    }

    /// Whether this host can build components from such guests.
    pub fn fit(&self) -> bool {
        line(&self.wit_bindgen) == line(WIT_BINDGEN)
    }
}

/// `0.60` from `0.60.1`.
fn line(version: &str) -> Option<&str> {
    version.rsplit_once('.').map(|(line, _)| line)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(name: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        std::fs::read_to_string(root.join(name)).unwrap()
    }

    #[test]
    fn guests_of_this_workspace_have_the_expected_wit_bindgen() {
        let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
        let wanted = manifest["workspace"]["dependencies"]["wit-bindgen"]["version"].as_str().unwrap();
        assert_eq!(wanted, format!("={WIT_BINDGEN}"));
        let bindings = Bindings::of_lock(&read("Cargo.lock")).unwrap();
        assert_eq!(bindings.wit_bindgen, WIT_BINDGEN);
        assert!(bindings.fit());
    }

    #[test]
    fn version_is_that_of_the_sdk_dependency() {
        let sdk = |dependency: &str| {
            format!(
                "[[package]]\nname = 'bulkhead-sdk'\nversion = '0.1.0'\ndependencies = ['serde', '{dependency}']\n"
            )
        };
        let package = |version: &str| format!("[[package]]\nname = 'wit-bindgen'\nversion = '{version}'\n");
        let one = sdk("wit-bindgen") + &package("0.60.3");
        let bindings = Bindings::of_lock(&one).unwrap();
        assert_eq!((bindings.wit_bindgen.as_str(), bindings.fit()), ("0.60.3", true));
        let two = sdk("wit-bindgen 0.61.1") + &package("0.60.0") + &package("0.61.1");
        let bindings = Bindings::of_lock(&two).unwrap();
        assert_eq!((bindings.wit_bindgen.as_str(), bindings.fit()), ("0.61.1", false));
        for text in ["", "no TOML", &package("0.60.0"), &sdk("wit")] {
            assert_eq!(Bindings::of_lock(text), None, "{text}");
        }
    }
}
