//! The admin port's token. It is created at each start, in a file that only its owner can read.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bulkhead_types::{Random as _, SystemRandom};
use subtle::ConstantTimeEq as _;

/// The token's file, in the data folder.
pub const TOKEN_FILE: &str = "admin.token";

/// The token.
pub struct AdminToken(String);

impl AdminToken {
    /// Creates a token, and writes it into the data folder.
    ///
    /// # Errors
    ///
    /// When the file can't be written.
    pub fn make(data: &Path) -> std::io::Result<Self> {
        let mut random = [0; 32];
        SystemRandom.fill(&mut random);
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let (path, new) = (data.join(TOKEN_FILE), data.join("admin.token.new"));
        // Other processes see the file only when it is whole and has the right mode.
        if new.exists() {
            std::fs::remove_file(&new)?;
        }
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(token.as_bytes())?;
        drop(file);
        std::fs::rename(new, path)?;
        Ok(Self(token))
    }

    /// Reads the token of the host that has this data folder.
    ///
    /// # Errors
    ///
    /// When there is no token, or it can't be read.
    pub fn read(data: &Path) -> std::io::Result<String> {
        std::fs::read_to_string(data.join(TOKEN_FILE)).map(|token| token.trim().to_owned())
    }

    /// Compares in constant time.
    #[must_use]
    pub fn is(&self, token: &str) -> bool {
        self.0.as_bytes().ct_eq(token.as_bytes()).into()
    }
}
