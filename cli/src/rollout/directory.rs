//! A directory whose content is replaced in one step, laid out as Kubernetes mounts a ConfigMap:
//!
//! ```text
//! DIR/ecds.json   -> ..data/ecds.json
//! DIR/..data      -> ..2026_11_20_14_03_07.123456789     replaced by renaming another link over it
//! DIR/..2026_…/ecds.json
//! ```
//!
//! Whoever opens `DIR/ecds.json` gets the old file or the new one, whole, at any time; so does who opens it after a
//! crash between two steps.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};

use crate::failure::{Failure, Outcome};

/// The link to what is in force.
const CURRENT: &str = "..data";
/// The link that is about to become it.
const NEXT: &str = "..data_tmp";

/// Makes `text` the content of `name` in the directory, which is made if need be. `false`: it was so already.
pub(crate) fn replace(directory: &Path, name: &str, text: &str) -> Outcome<bool> {
    let failed = |error: io::Error| {
        Failure::no(format!(
            "cannot write {}: {error}",
            directory.join(name).display()
        ))
        .fix("what was in force there before still is")
    };
    fs::create_dir_all(directory).map_err(failed)?;
    let locked = File::open(directory).map_err(failed)?;
    // One writer at a time; ends with this process, however that ends.
    flock(&locked, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    refuse_foreign(directory, name)?;
    swap(directory, &locked, name, text).map_err(failed)
}

/// Nothing that somebody else put there is replaced.
fn refuse_foreign(directory: &Path, name: &str) -> Outcome<()> {
    for (link, expected) in [(name, Some(data_path(name))), (CURRENT, None)] {
        let path = directory.join(link);
        let foreign = match (fs::symlink_metadata(&path), expected) {
            (Err(_), _) => false,
            (Ok(found), _) if !found.is_symlink() => true,
            (Ok(_), Some(expected)) => fs::read_link(&path).ok() != Some(expected),
            (Ok(_), None) => fs::read_link(&path).is_ok_and(|to| !is_plain(&to)),
        };
        if foreign {
            return Err(Failure::usage(format!(
                "{} is there already and was not made by this program",
                path.display()
            ))
            .fix("give another directory, or move it away"));
        }
    }
    Ok(())
}

fn swap(directory: &Path, locked: &File, name: &str, text: &str) -> io::Result<bool> {
    if fs::read(directory.join(name)).is_ok_and(|now| now == text.as_bytes()) {
        return Ok(false);
    }
    let new = fresh(directory)?;
    let path = directory.join(&new);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path.join(name))?;
    file.write_all(text.as_bytes())?;
    // On the disk before anything leads there.
    file.sync_all()?;
    File::open(&path)?.sync_all()?;

    remove_if_there(fs::remove_file(directory.join(NEXT)))?;
    symlink(&new, directory.join(NEXT))?;
    fs::rename(directory.join(NEXT), directory.join(CURRENT))?;
    if fs::symlink_metadata(directory.join(name)).is_err() {
        symlink(data_path(name), directory.join(name))?;
    }
    // From here on the new content is in force, and nothing that fails changes that.
    if let Err(error) = locked.sync_all().and_then(|()| clean(directory, &new)) {
        anstream::eprintln!(
            "warning: {}: {error}; what was in force before may still lie there",
            directory.display()
        );
    }
    Ok(true)
}

/// A new directory, named after the time as Kubernetes does it.
fn fresh(directory: &Path) -> io::Result<String> {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for attempt in 0..100 {
        let name = format!("..{}_{:09}_{attempt}", elapsed.as_secs(), elapsed.subsec_nanos());
        match DirBuilder::new().mode(0o755).create(directory.join(&name)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(name),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Removes what was in force before, and what a crash has left.
fn clean(directory: &Path, current: &str) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name
            .to_str()
            .is_some_and(|name| name != current && is_stamp(name));
        if ours && entry.file_type()?.is_dir() {
            remove_if_there(fs::remove_dir_all(entry.path()))?;
        }
    }
    Ok(())
}

fn data_path(name: &str) -> PathBuf {
    Path::new(CURRENT).join(name)
}

/// Whether a link leads to a directory beside it.
fn is_plain(to: &Path) -> bool {
    to.to_str()
        .is_some_and(|name| name.starts_with("..") && name.len() > 2 && !name.contains('/'))
}

/// `..` and a time.
fn is_stamp(name: &str) -> bool {
    name.strip_prefix("..").is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|b| b.is_ascii_digit() || b == b'_' || b == b'.')
    })
}

fn remove_if_there(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use super::*;

    fn names(directory: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn is_laid_out_as_a_mounted_configmap_and_keeps_nothing_old() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("made/here");
        for text in ["one", "two", "three"] {
            assert!(replace(&directory, "ecds.json", text).unwrap());
            assert_eq!(fs::read_to_string(directory.join("ecds.json")).unwrap(), text);
            assert_eq!(names(&directory).len(), 3, "{:?}", names(&directory));
        }
        assert!(!replace(&directory, "ecds.json", "three").unwrap());
        assert_eq!(
            fs::read_link(directory.join("ecds.json")).unwrap(),
            Path::new("..data/ecds.json")
        );
        let stamp = fs::read_link(directory.join("..data")).unwrap();
        assert!(is_stamp(stamp.to_str().unwrap()), "{stamp:?}");
    }

    #[test]
    fn what_a_crash_left_is_removed_and_was_never_in_force() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path();
        replace(directory, "ecds.json", "old").unwrap();
        // After the first file; after the link beside it.
        for link in [false, true] {
            fs::create_dir(directory.join("..17_1")).unwrap();
            fs::write(directory.join("..17_1/ecds.json"), "half").unwrap();
            if link {
                symlink("..17_1", directory.join(NEXT)).unwrap();
            }
            assert_eq!(fs::read_to_string(directory.join("ecds.json")).unwrap(), "old");
            replace(directory, "ecds.json", if link { "newer" } else { "old" }).unwrap();
            if !link {
                replace(directory, "ecds.json", "new").unwrap();
                replace(directory, "ecds.json", "old").unwrap();
            }
            assert_eq!(names(directory).len(), 3, "{:?}", names(directory));
        }
        assert_eq!(fs::read_to_string(directory.join("ecds.json")).unwrap(), "newer");
    }

    #[test]
    fn what_others_made_is_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path();
        fs::write(directory.join("ecds.json"), "mine").unwrap();
        let said = replace(directory, "ecds.json", "x").unwrap_err().to_string();
        assert!(said.contains("ecds.json is there already"), "{said}");
        assert_eq!(names(directory).len(), 1);
        fs::remove_file(directory.join("ecds.json")).unwrap();
        symlink("/etc", directory.join("..data")).unwrap();
        assert!(replace(directory, "ecds.json", "x").is_err());
        fs::remove_file(directory.join("..data")).unwrap();
        // Directories of other names stay.
        fs::create_dir(directory.join("..mine")).unwrap();
        fs::create_dir(directory.join("2026")).unwrap();
        replace(directory, "ecds.json", "x").unwrap();
        assert!(names(directory).is_superset(&["..mine".to_owned(), "2026".to_owned()].into()));
    }

    #[test]
    fn writers_at_the_same_time_leave_one_whole_file_and_readers_see_only_whole_ones() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path();
        let text = |writer: usize| format!("{writer}").repeat(100_000);
        replace(directory, "ecds.json", &text(0)).unwrap();
        thread::scope(|scope| {
            let write = move |writer: usize| {
                for _ in 0..25 {
                    assert!(replace(directory, "ecds.json", &text(writer)).is_ok());
                }
            };
            let writers: Vec<_> = (1..5).map(|writer| scope.spawn(move || write(writer))).collect();
            while writers.iter().any(|writer| !writer.is_finished()) {
                // The directory may go between the steps of a look-up, as it may with Kubernetes; never half a file.
                if let Ok(seen) = fs::read_to_string(directory.join("ecds.json")) {
                    assert_eq!(seen.len(), 100_000);
                    assert!(seen.bytes().all(|b| b == seen.as_bytes()[0]));
                }
            }
        });
        assert_eq!(names(directory).len(), 3, "{:?}", names(directory));
    }
}
