//! What filter state knows of a record, so that nothing is set twice.
//!
//! An exchange ends with a few fields more than its verdict had, and each that is set costs a host call.

/// The fields that were exported, in one piece of memory.
#[derive(Debug, Default)]
pub struct Exported {
    fields: Vec<Field>,
    /// The values, one after the other. Those that were replaced stay: few ever are.
    values: Vec<u8>,
    /// Where the next field is looked for first: records tell theirs in order.
    next: usize,
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    start: usize,
    end: usize,
    /// The record at hand has it.
    told: bool,
}

/// More than most records have.
const FIELDS: usize = 32;
const BYTES: usize = 1024;

impl Exported {
    /// Before the fields of a record are told.
    pub fn begin(&mut self) {
        if self.fields.capacity() == 0 {
            self.fields.reserve(FIELDS);
            self.values.reserve(BYTES);
        }
        self.next = 0;
        for field in &mut self.fields {
            field.told = false;
        }
    }

    /// A field of the record: whether filter state has another value or none.
    pub fn is_news(&mut self, name: &'static str, value: &[u8]) -> bool {
        let start = self.values.len();
        let after = self
            .fields
            .iter()
            .skip(self.next)
            .position(|known| known.name == name);
        let place = match after {
            Some(after) => Some(self.next + after),
            None => self.fields.iter().position(|known| known.name == name),
        };
        let Some(place) = place else {
            self.values.extend_from_slice(value);
            self.fields.push(Field {
                name,
                start,
                end: self.values.len(),
                told: true,
            });
            return true;
        };
        self.next = place + 1;
        let Some(field) = self.fields.get_mut(place) else {
            return true;
        };
        field.told = true;
        if self.values.get(field.start..field.end) == Some(value) {
            return false;
        }
        self.values.extend_from_slice(value);
        (field.start, field.end) = (start, self.values.len());
        true
    }

    /// The next field that the record does not have any more, once all are told. It is known as empty from now on.
    pub fn next_gone(&mut self) -> Option<&'static str> {
        let gone = self
            .fields
            .iter_mut()
            .find(|field| !field.told && field.start < field.end)?;
        gone.end = gone.start;
        Some(gone.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(
        exported: &mut Exported,
        record: &[(&'static str, &str)],
    ) -> (Vec<&'static str>, Vec<&'static str>) {
        exported.begin();
        let mut news = Vec::new();
        for (name, value) in record {
            if exported.is_news(name, value.as_bytes()) {
                news.push(*name);
            }
        }
        let gone = std::iter::from_fn(|| exported.next_gone()).collect();
        (news, gone)
    }

    #[test]
    fn only_what_is_new_or_different_is_news() {
        let mut exported = Exported::default();
        let none: Vec<&str> = Vec::new();
        let first = [("a", "1"), ("c", ""), ("d", "same")];
        assert_eq!(news(&mut exported, &first), (vec!["a", "c", "d"], none.clone()));
        assert_eq!(news(&mut exported, &first), (none.clone(), none.clone()));
        let second = [("a", "2"), ("b", "new"), ("c", ""), ("d", "same")];
        assert_eq!(news(&mut exported, &second), (vec!["a", "b"], none.clone()));
        assert_eq!(news(&mut exported, &second), (none.clone(), none.clone()));
        // Back to a value that it had before.
        assert_eq!(
            news(
                &mut exported,
                &[("a", "1"), ("b", "new"), ("c", ""), ("d", "same")]
            )
            .0,
            ["a"]
        );
    }

    #[test]
    fn what_is_gone_is_told_once() {
        let mut exported = Exported::default();
        let all = [("a", "1"), ("b", "2"), ("c", "3")];
        let _ = news(&mut exported, &all);
        assert_eq!(news(&mut exported, &all[1..2]), (vec![], vec!["a", "c"]));
        assert_eq!(news(&mut exported, &all[1..2]), (vec![], vec![]));
        assert_eq!(news(&mut exported, &all), (vec!["a", "c"], vec![]));
    }

    #[test]
    fn order_does_not_matter() {
        let mut exported = Exported::default();
        let _ = news(&mut exported, &[("a", "1"), ("b", "2"), ("c", "3")]);
        let shuffled = [("c", "3"), ("d", "4"), ("a", "1"), ("b", "x")];
        assert_eq!(news(&mut exported, &shuffled), (vec!["d", "b"], vec![]));
    }
}
