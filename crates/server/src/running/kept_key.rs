//! The API key that `up` shows: made once, kept in the state folder, made anew when the database does not know it.

use anyhow::Context;
use muster_adapters::postgres::PgStore;
use muster_domain::model::principal::Scope;
use muster_domain::usecases::create_key::CreateKey;
use muster_domain::usecases::provision_key::{ProvisionKey, provision_key};
use secrecy::{ExposeSecret, SecretString};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file within the state folder.
const FILE: &str = "api-key";

/// Makes a key of that workspace, and the workspace and its tenant when they are missing.
///
/// # Errors
/// When the database does not answer, or a name cannot be used.
pub async fn make(
    store: &PgStore,
    tenant: &str,
    workspace: &str,
    name: &str,
    scopes: &[Scope],
) -> anyhow::Result<SecretString> {
    let key = CreateKey { name: name.to_owned(), scopes: scopes.to_vec(), expires_at: None };
    let command = ProvisionKey { tenant: tenant.to_owned(), workspace: workspace.to_owned(), key };
    let issued = provision_key(store, store, command).await.context("no key was made")?;
    Ok(issued.token)
}

/// The key kept in `state_dir`, if the API at `base` takes it; else a new one, which is kept from now on.
///
/// # Errors
/// When the file cannot be used, or no key can be made.
pub async fn kept_or_made(
    state_dir: &Path,
    base: &str,
    store: &PgStore,
    workspace: (&str, &str),
) -> anyhow::Result<SecretString> {
    let path = state_dir.join(FILE);
    if let Some(kept) = read(&path)?
        && is_taken(base, &kept).await?
    {
        return Ok(kept);
    }
    let made = make(store, workspace.0, workspace.1, "muster up", &Scope::ALL).await?;
    write(&path, &made).with_context(|| format!("the key cannot be kept in {}", path.display()))?;
    Ok(made)
}

fn read(path: &Path) -> anyhow::Result<Option<SecretString>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(SecretString::from(text.trim()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Whether the API lets the key in. A file with anything else in it than a key is the same as none.
async fn is_taken(base: &str, key: &SecretString) -> anyhow::Result<bool> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.get(format!("{base}/api/keys?limit=1")).bearer_auth(key.expose_secret()).build();
    let Ok(request) = request else { return Ok(false) };
    let answer = client.execute(request).await.context("the API does not answer")?;
    Ok(answer.status().is_success())
}

/// Puts a whole file in the place of the old one, readable by its owner alone.
fn write(path: &Path, key: &SecretString) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    writeln!(file, "{}", key.expose_secret())?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_kept_key_is_for_its_owner_alone_and_the_last_one_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        assert!(read(&path).unwrap().is_none());
        for key in ["mk_one", "mk_two"] {
            write(&path, &SecretString::from(key)).unwrap();
        }
        assert_eq!(read(&path).unwrap().unwrap().expose_secret(), "mk_two");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
