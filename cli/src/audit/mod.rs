//! Whether a log is what was written: the chains in it have no holes, and no record of theirs was changed.
//!
//! Every record of a chain has a number, the digest of the record before, and a digest over everything that the filter
//! said. Lines may stand in any order and in several files; what is kept of a chain does not grow with its length.

mod chain;
mod chains;
mod finding;
#[cfg(test)]
mod tests;

pub(crate) use finding::{Finding, Kind};

use crate::failure::Outcome;
use crate::log::{Damaged, Logs, Place, Record, Summary};
use chain::{Chain, Link};
use chains::Chains;

/// How many findings are kept to be told; all are counted.
const TOLD: usize = 1000;
/// No chain's name is as long: sixteen hex digits, a dash and a time.
const LONGEST_ID: usize = 64;

/// What verifying found.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// Lines that are records.
    pub(crate) records: u64,
    /// Those that belong to a chain.
    pub(crate) chained: u64,
    /// How many chains there are.
    pub(crate) chains: u64,
    /// Chains whose beginning is not here, which `partial` accepts.
    pub(crate) partial: u64,
    /// Calls of a key in a session or trace that are in no chain.
    pub(crate) unchained_calls: u64,
    /// Lines that are none.
    pub(crate) damaged: Damaged,
    /// In the order of the lines.
    pub(crate) findings: Vec<Finding>,
    /// All of them, also those that are too many to be told.
    pub(crate) found: u64,
}

impl Audit {
    /// Whether nothing is missing and nothing was changed, as far as chains can tell.
    pub(crate) fn is_whole(&self) -> bool {
        self.found == 0 && self.damaged.lines == 0 && !self.says_nothing()
    }

    /// Whether there are calls that could be in chains, and none is.
    pub(crate) fn says_nothing(&self) -> bool {
        self.chained == 0 && self.unchained_calls > 0
    }
}

/// Verifies every chain in the logs. With `partial`, a chain may begin in the middle.
pub(crate) fn verify(logs: &Logs, partial: bool) -> Outcome<Audit> {
    let mut verifier = Verifier::default();
    let summary = logs.read(|record, place| verifier.take(record, place))?;
    Ok(verifier.finished(summary, partial))
}

#[derive(Default)]
struct Verifier {
    audit: Audit,
    chains: Chains,
}

impl Verifier {
    fn take(&mut self, record: &Record<'_>, place: Place) {
        let Some(id) = record.chain_id.as_deref() else {
            if record.chain_seq().is_some() || record.chain_prev.is_some() || record.chain_digest.is_some() {
                self.found(Finding::at(place, Kind::Incomplete("chain_id")));
            }
            self.audit.unchained_calls += u64::from(is_chainable(record));
            return;
        };
        self.audit.chained += 1;
        let link = match link(record, place) {
            Ok(link) if id.len() <= LONGEST_ID => link,
            Ok(_) => return self.found(Finding::at(place, Kind::Incomplete("chain_id"))),
            Err(kind) => return self.found(Finding::at(place, kind).in_chain(id)),
        };
        if link.changed {
            let kind = Kind::Changed { number: link.number };
            self.found(Finding::at(place, kind).in_chain(id));
        }
        let added = match self.chains.find_or_insert(id, || Chain::new(link)) {
            Some(chain) => chain.add(link),
            None => Ok(()),
        };
        if let Err(finding) = added {
            self.found(finding.in_chain(id));
        }
    }

    fn finished(mut self, summary: Summary, partial: bool) -> Audit {
        self.audit.chains = self.chains.len() as u64;
        for (id, chain) in std::mem::take(&mut self.chains).into_list() {
            for finding in chain.gaps() {
                if partial && matches!(finding.kind, Kind::NoBeginning { .. }) {
                    self.audit.partial += 1;
                } else {
                    self.found(finding.in_chain(&id.to_string()));
                }
            }
        }
        self.audit.findings.sort_by_key(|finding| finding.place);
        self.audit.records = summary.records;
        self.audit.damaged = summary.damaged;
        self.audit
    }

    fn found(&mut self, finding: Finding) {
        self.audit.found += 1;
        if self.audit.findings.len() < TOLD {
            self.audit.findings.push(finding);
        }
    }
}

/// Whether a record with chains switched on would be in one.
fn is_chainable(record: &Record<'_>) -> bool {
    record.rpc_method.as_deref() == Some("tools/call")
        && record.key.is_some()
        && (record.session.is_some() || record.trace_id.is_some())
}

fn link(record: &Record<'_>, place: Place) -> Result<Link, Kind> {
    let number = record
        .chain_seq()
        .filter(|number| *number > 0)
        .ok_or(Kind::Incomplete("chain_seq"))?;
    let said = record
        .chain_digest
        .as_deref()
        .ok_or(Kind::Incomplete("chain_digest"))?;
    let is = chain::digest(record);
    let previous = match record.chain_prev.as_deref() {
        None => None,
        Some(text) => Some(chain::parse_digest(text).ok_or(Kind::Incomplete("chain_prev"))?),
    };
    Ok(Link {
        number,
        previous,
        // What is compared with is what the next record was told, if that can be read.
        digest: chain::parse_digest(said)
            .or(chain::parse_digest(&is))
            .unwrap_or_default(),
        changed: said != is,
        place,
    })
}
