//! Checks of the data folder: whether it exists or can be created, who holds it, its file system, and the cache in it.

use std::io::ErrorKind;
use std::path::Path;

use bulkhead_runtime::ComponentCache;
use bulkhead_server::admin::ADDRESS_FILE;
use bulkhead_server::application::cache;
use bulkhead_store::DataFolder;
use bytesize::ByteSize;
use rustix::fs::{Access, access, statfs, statvfs};

use super::Check;

/// Below this free space there is a warning: the databases, their WALs and event logs, and the compiled components grow.
const ROOM_MIN: u64 = 1 << 30;

/// The magic numbers of network file systems (`statfs(2)`). The users of a database file share memory, so they must be on one
/// machine.
const NETWORK_FILE_SYSTEMS: [(u32, &str); 7] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x5346_414F, "AFS"),
    (0x00C3_6400, "Ceph"),
    (0x0102_1997, "9P"),
];

const REMEDY: &str = "give a folder that this user may write to, with --data or application.data";

/// Also returns whether a host holds the folder.
pub(super) fn checks(data: &Path) -> (bool, Vec<Check>) {
    let mut checks = vec![folder(data)];
    let held = match DataFolder::is_held(data) {
        Ok(false) => false,
        Ok(true) => {
            checks.push(held_by_a_host(data));
            true
        }
        // The fault of the folder is already reported.
        Err(_) => false,
    };
    // The file system that the folder is on, or will be on once it exists.
    if let Some(there) = data.ancestors().map(or_here).find(|above| above.is_dir()) {
        checks.extend(room(there));
        checks.extend(file_system(there));
    }
    let cache = cache(data);
    if cache.exists()
        && let Err(reason) = ComponentCache::check(&cache)
    {
        let found = format!("{}: compiled components can't be kept in it: {reason}", cache.display());
        let remedy = format!("rm -r {}: the host recreates it, with the mode that it needs", cache.display());
        checks.push(Check::warning("cache", found, remedy));
    }
    (held, checks)
}

/// The last ancestor of a relative path is empty, and means the current folder.
fn or_here(path: &Path) -> &Path {
    if path == Path::new("") { Path::new(".") } else { path }
}

fn folder(data: &Path) -> Check {
    let shown = data.display();
    let writable = |folder: &Path| access(folder, Access::WRITE_OK | Access::EXEC_OK);
    match std::fs::metadata(data) {
        Ok(metadata) if !metadata.is_dir() => {
            Check::wrong("data folder", format!("{shown} is no folder"), REMEDY)
        }
        Ok(_) => match writable(data) {
            Ok(()) => Check::ok("data folder", format!("{shown}, which can be written to")),
            Err(error) => {
                Check::wrong("data folder", format!("{shown} can't be written to: {error}"), REMEDY)
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let above = data.ancestors().skip(1).map(or_here).find(|above| above.exists());
            match above.map(|above| (above, writable(above))) {
                Some((above, Ok(()))) if above.is_dir() => {
                    Check::ok("data folder", format!("{shown}, which is made at the first start"))
                }
                Some((above, Err(error))) => {
                    let found = format!("{shown} can't be made: {}: {error}", above.display());
                    Check::wrong("data folder", found, REMEDY)
                }
                _ => Check::wrong("data folder", format!("{shown} can't be made"), REMEDY),
            }
        }
        Err(error) => Check::wrong("data folder", format!("{shown} can't be looked at: {error}"), REMEDY),
    }
}

/// A running application is not an error, but a second host can't have its folder.
fn held_by_a_host(data: &Path) -> Check {
    let address = std::fs::read_to_string(data.join(ADDRESS_FILE)).unwrap_or_default();
    let admin = match address.trim() {
        "" => String::new(),
        address => format!(" (its admin port is {address})"),
    };
    let found = format!("another host holds {}{admin}", data.display());
    Check::warning(
        "lock",
        found,
        "stop it before you start a second one, or give that another folder with --data",
    )
}

fn room(folder: &Path) -> Option<Check> {
    let found = statvfs(folder).ok()?;
    Some(enough(found.f_bavail.saturating_mul(found.f_frsize)))
}

fn enough(bytes: u64) -> Check {
    let shown = ByteSize(bytes);
    if bytes < ROOM_MIN {
        let found = format!("{shown} are free, which the databases may soon fill");
        return Check::warning("room", found, "make room, or give a folder on another disk with --data");
    }
    Check::ok("room", format!("{shown} are free"))
}

fn file_system(folder: &Path) -> Option<Check> {
    let kind = statfs(folder).ok()?.f_type;
    network(u32::try_from(kind & 0xFFFF_FFFF).ok()?).map(|name| {
        let found = format!(
            "{} lies on {name}, a file system across a network: databases could be damaged",
            folder.display()
        );
        Check::wrong(
            "file system",
            found,
            "give a folder on a disk of this machine, with --data or application.data",
        )
    })
}

fn network(kind: u32) -> Option<&'static str> {
    NETWORK_FILE_SYSTEMS.iter().find(|(known, _)| *known == kind).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn low_disk_space_gives_a_warning() {
        assert_eq!(enough(ROOM_MIN).state, State::Ok);
        assert_eq!(enough(ROOM_MIN - 1).state, State::Warning);
    }

    #[test]
    fn file_system_is_recognized_by_its_number() {
        assert_eq!(network(0x6969), Some("NFS"));
        // ext4 and tmpfs.
        assert_eq!((network(0xEF53), network(0x0102_1994)), (None, None));
    }
}
