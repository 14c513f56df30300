//! All chains by their names: some hundred bytes for each, for a log may have millions of them.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::chain::Chain;

/// A table of places in a list: its empty places cost five bytes, and not a chain's room.
#[derive(Default)]
pub(super) struct Chains {
    table: HashTable<u32>,
    list: Vec<(Id, Chain)>,
    hasher: RandomState,
}

/// A name.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Id {
    /// As Toolgate makes them: sixteen hex digits, a dash, and a time in hex.
    Made(u64, u64),
    Other(Box<str>),
}

impl Chains {
    /// The chain of that name; `None` if there is none, and then it is this one.
    pub(super) fn find_or_insert(&mut self, id: &str, new: impl FnOnce() -> Chain) -> Option<&mut Chain> {
        let id = Id::of(id);
        let (list, hasher) = (&mut self.list, &self.hasher);
        let hash = hasher.hash_one(&id);
        let at = |index: &u32| list.get(*index as usize);
        let is_it = |index: &u32| at(index).is_some_and(|(there, _)| *there == id);
        if let Some(index) = self.table.find(hash, is_it).copied() {
            return list.get_mut(index as usize).map(|(_, chain)| chain);
        }
        let rehash = |index: &u32| at(index).map_or(0, |(id, _)| hasher.hash_one(id));
        // So many chains are hundreds of gigabytes. The records of one beyond would not be found again, and told as holes.
        let index = u32::try_from(list.len()).unwrap_or(u32::MAX);
        self.table.insert_unique(hash, index, rehash);
        list.push((id, new()));
        None
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn into_list(self) -> Vec<(Id, Chain)> {
        self.list
    }
}

impl Id {
    fn of(name: &str) -> Self {
        let made = || {
            let (hash, time) = name.split_once('-')?;
            let number = |digits: &str| {
                let plain = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
            };
            let canonical = hash.len() == 16 && (time == "0" || !time.starts_with('0'));
            canonical
                .then(|| Some(Self::Made(number(hash)?, number(time)?)))
                .flatten()
        };
        made().unwrap_or_else(|| Self::Other(name.into()))
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Made(hash, time) => write!(f, "{hash:016x}-{time:x}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Chain, Id};

    #[test]
    fn names_are_kept_as_they_are() {
        for name in [
            "248dfe8c02964e58-18ea017102d58988",
            "0000000000000000-0",
            "ffffffffffffffff-ffffffffffffffff",
        ] {
            assert!(matches!(Id::of(name), Id::Made(..)), "{name}");
            assert_eq!(Id::of(name).to_string(), name);
        }
        for name in [
            "",
            "-",
            "x",
            "0000000000000000-",
            "0000000000000000-00",
            "0000000000000000-01",
            "000000000000000A-1",
            "000000000000000-11",
            "+000000000000000-1",
            "0000000000000000-+1",
            "0000000000000000-1-1",
            "0000000000000000-10000000000000000",
        ] {
            assert!(matches!(Id::of(name), Id::Other(_)), "{name}");
            assert_eq!(Id::of(name).to_string(), name);
        }
    }

    #[test]
    fn a_chain_takes_little() {
        // And ten for its place in the table, which is half empty at the worst.
        assert!(size_of::<(Id, Chain)>() <= 104, "{}", size_of::<(Id, Chain)>());
    }
}
