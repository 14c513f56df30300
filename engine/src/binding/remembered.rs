//! Which tool a task was made with, remembered for messages that name the task only.
//!
//! A task's tag holds its tool, but a server's own messages have no tag: lists of tasks and notifications. What is
//! remembered is bounded, so a task may be forgotten: then it is missing from lists, but its own id still opens.

#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use super::Owner;
use crate::slots::{self, Change, Contention, Damaged, Held, Record, Table};
use crate::store::{Store, StoreError};

/// Longest name of a tool that is remembered, in bytes: the specification asks for no longer ones.
/// <https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-names>
pub const MAX_TOOL: usize = 128;

/// Tasks in one slot. The oldest makes place for a new one.
const MAX_TASKS: usize = 32;

/// Remembers an owner's task, by the server's id. A tool with a name longer than [`MAX_TOOL`] is not remembered.
pub fn remember(owner: &Owner<'_>, id: &str, tool: &str, store: &dyn Store) -> Result<(), StoreError> {
    let digest = digest_of(owner, id);
    let Some(entry) = entry_of(&digest, tool) else {
        return Ok(());
    };
    let slot = slots::slot(&digest);
    slots::update(slot, store, &mut Contention::default(), |Tasks(table)| {
        match find(table, &digest) {
            Some((_, known)) if *known == entry => return Ok(Change::Keep(())),
            Some((at, _)) => table.replace(at, &entry),
            None => {
                // Entries stay in the order in which they came.
                while table.entries().len() >= MAX_TASKS {
                    table.remove(0);
                }
                table.push(&entry);
            }
        }
        Ok(Change::Write(()))
    })
}

/// The tool that an owner's task was made with; `None` if it is not, or no longer, remembered as this owner's.
pub fn tool_of(owner: &Owner<'_>, id: &str, store: &dyn Store) -> Result<Option<String>, StoreError> {
    let digest = digest_of(owner, id);
    let held = Held::<Tasks>::read(slots::slot(&digest), store)?;
    let found = find(&held.record.0, &digest);
    Ok(found.and_then(|(_, entry)| tool_in(entry)).map(str::to_owned))
}

/// Eight bytes that find it, eight more that tell it from others, one for the length of the tool's name, and the name.
///
/// All sixteen are of a hash of server, key, subject and id: servers may number the tasks of every session from 1.
const ENTRY: usize = HASH + 1 + MAX_TOOL;
const HASH: usize = 16;

#[derive(Debug, Default)]
struct Tasks(Table<ENTRY>);

impl Record for Tasks {
    const FAMILY: &'static str = "tasks";
    const DAMAGED: Damaged = Damaged::Emptied;

    fn parse(bytes: Vec<u8>) -> Result<Self, StoreError> {
        Table::parse(bytes, MAX_TASKS, |entry| tool_in(entry).is_some()).map(Tasks)
    }

    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

fn digest_of(owner: &Owner<'_>, id: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for field in [Some(owner.server), Some(owner.key), owner.subject, Some(id)] {
        // No subject is not the same as an empty one: lengths end below this.
        let length = field.map_or(u64::MAX, |field| field.len() as u64);
        hash.update(length.to_le_bytes());
        hash.update(field.unwrap_or_default());
    }
    hash.finalize().into()
}

fn entry_of(digest: &[u8; 32], tool: &str) -> Option<[u8; ENTRY]> {
    let mut entry = [0; ENTRY];
    let (hash, rest) = entry.split_at_mut_checked(HASH)?;
    hash.copy_from_slice(digest.get(..HASH)?);
    let (length, name) = rest.split_first_mut()?;
    *length = u8::try_from(tool.len()).ok()?;
    name.get_mut(..tool.len())?.copy_from_slice(tool.as_bytes());
    Some(entry)
}

fn tool_in(entry: &[u8; ENTRY]) -> Option<&str> {
    let (length, name) = entry.get(HASH..)?.split_first()?;
    std::str::from_utf8(name.get(..usize::from(*length))?).ok()
}

fn find<'t>(table: &'t Table<ENTRY>, digest: &[u8; 32]) -> Option<(usize, &'t [u8; ENTRY])> {
    let found = table.find(slots::id(digest))?;
    found.1.starts_with(digest.get(..HASH)?).then_some(found)
}
