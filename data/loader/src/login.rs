//! Logging in as the shop's administrator.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::client::Connection;

/// The environment variable that the shop takes the password from, and the loader as well.
const PASSWORD_VARIABLE: &str = "SHOP_ADMIN_PASSWORD";

#[derive(Serialize)]
struct Credentials<'a> {
    email: &'a str,
    password: &'a str,
}

#[derive(Deserialize)]
struct Session {
    token: String,
}

/// The password, from the environment or from the file. It is never an argument, which others could read.
pub(crate) fn password(file: &Path) -> Result<String> {
    choose(std::env::var(PASSWORD_VARIABLE).ok(), file)
}

fn choose(variable: Option<String>, file: &Path) -> Result<String> {
    if let Some(password) = variable.filter(|password| !password.is_empty()) {
        return Ok(password);
    }
    let text = std::fs::read_to_string(file).with_context(|| {
        format!(
            "the administrator's password is not in {}: `make run` puts it there; for another shop set {PASSWORD_VARIABLE}, or name \
             the file with --password-file",
            file.display()
        )
    })?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("{} is empty: remove it, and `make run` makes up another password", file.display());
    }
    Ok(password.to_owned())
}

/// Logs in, and gives the token.
pub(crate) async fn log_in(connection: &mut Connection, email: &str, password: &str) -> Result<String> {
    let body = serde_json::to_vec(&Credentials { email, password })?;
    let answer = connection.post("/sessions", body.into()).await?;
    let session: Session = answer.read().with_context(|| format!("failed to log in as {email}"))?;
    Ok(session.token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_variables_or_else_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("admin.password");
        let missing = format!("{:#}", choose(None, &file).unwrap_err());
        assert!(missing.contains("make run") && missing.contains(PASSWORD_VARIABLE), "{missing}");
        std::fs::write(&file, "from the file\n").unwrap();
        assert_eq!(choose(None, &file).unwrap(), "from the file");
        assert_eq!(choose(Some(String::new()), &file).unwrap(), "from the file");
        assert_eq!(choose(Some("from the variable".to_owned()), &file).unwrap(), "from the variable");
        std::fs::write(&file, "\n").unwrap();
        assert!(choose(None, &file).is_err());
    }
}
