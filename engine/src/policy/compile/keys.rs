//! Keys: what presents them, and what they are given.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::{names, resilience, teams, usage};
use crate::policy::error::{At, Errors, PolicyError, quoted};
use crate::policy::glob::{Glob, PatternIndex};
use crate::policy::{Identity, Key, KeyId, Role, RoleId, Team, raw, time};

/// What keys refer to.
pub(super) struct Context<'a> {
    pub(super) roles: &'a [Role],
    pub(super) teams: &'a [Team],
    pub(super) identity: &'a Identity,
    pub(super) limits: usage::Context<'a>,
}

/// The compiled keys and how to find them.
pub(super) struct Keys {
    pub(super) list: Vec<Key>,
    pub(super) digests: HashMap<[u8; 32], KeyId>,
    pub(super) subjects: PatternIndex,
}

pub(super) fn compile(raw: BTreeMap<String, raw::Key>, context: &Context<'_>, errors: &mut Errors) -> Keys {
    let root = At::Root;
    let at = root.member("keys");
    let roles: HashMap<&str, RoleId> = context
        .roles
        .iter()
        .enumerate()
        .map(|(index, role)| (&*role.name, RoleId::new(index)))
        .collect();
    let teams = teams::by_name(context.teams.iter().map(|team| &*team.name));
    let mut list = Vec::with_capacity(raw.len());
    let mut owners = Owners::with_capacity(raw.len());
    let mut subjects = Vec::new();
    for (index, (name, raw)) in raw.into_iter().enumerate() {
        let id = KeyId::new(index);
        let at = at.member(&name);
        names::check(&name, "key", &at, errors);
        if raw.sha256.is_empty() && raw.subjects.is_empty() && context.identity.anonymous != Some(id) {
            let error = PolicyError::new(&at, "nothing presents this key").whole();
            errors.add(
                error.allowed("\"sha256\" or \"subjects\", unless \"identity.anonymous\" names the key"),
            );
        }
        let team = raw
            .team
            .0
            .and_then(|team| teams::find(&team, &teams, &at.member("team"), errors));
        let team = team.and_then(|id| Some((id, Rc::clone(&context.teams.get(id.index())?.name))));
        let key = Key {
            digests: digests(
                &raw.sha256,
                id,
                &at.member("sha256"),
                (&list, &mut owners),
                errors,
            ),
            subjects: check_subjects(raw.subjects, context.identity, &at.member("subjects"), errors),
            roles: find_roles(&raw.roles, &roles, &at.member("roles"), errors),
            team: team.as_ref().map(|(_, name)| Rc::clone(name)),
            team_id: team.map(|(id, _)| id),
            allowance: usage::allowance(raw.quotas, raw.budget, &context.limits, &at, errors),
            loops: raw
                .loops
                .0
                .map(|raw| resilience::loops(&raw, &at.member("loops"), errors))
                .unwrap_or_default(),
            labels: check_labels(raw.labels, &at.member("labels"), errors),
            expires: raw
                .expires
                .0
                .and_then(|text| expires(&text, &at.member("expires"), errors)),
            disabled: raw.disabled,
            mode: raw.mode.0,
            name: Rc::from(name),
        };
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        subjects.extend(
            key.subjects
                .iter()
                .map(|subject| (index, Glob::new(Rc::clone(subject)))),
        );
        list.push(key);
    }
    let digests = owners.into_iter().map(|(digest, (id, _))| (digest, id)).collect();
    Keys {
        list,
        digests,
        subjects: PatternIndex::new(subjects),
    }
}

/// For each digest, the key that has it and its index there.
type Owners = HashMap<[u8; 32], (KeyId, usize)>;

fn digests(
    raw: &[String],
    id: KeyId,
    sha256: &At<'_>,
    (keys, owners): (&[Key], &mut Owners),
    errors: &mut Errors,
) -> Vec<[u8; 32]> {
    let mut digests = Vec::with_capacity(raw.len());
    for (index, text) in raw.iter().enumerate() {
        let at = sha256.element(index);
        let Some(digest) = digest(text) else {
            errors.add(bad_hash(text, &at));
            continue;
        };
        if let Some((owner, first)) = owners.get(&digest) {
            let first = match keys.get(owner.index()) {
                Some(key) => At::Root
                    .member("keys")
                    .member(&key.name)
                    .member("sha256")
                    .element(*first)
                    .pointer(),
                // Not compiled yet: it is this one.
                None => sha256.element(*first).pointer(),
            };
            let error = PolicyError::new(&at, format!("the same hash is at {first}"));
            errors.add(error.hint("every credential presents one key: remove one of the two"));
        } else {
            owners.insert(digest, (id, index));
            digests.push(digest);
        }
    }
    digests
}

/// 64 lower-case hex digits. One spelling only, so that equal hashes are equal texts.
fn digest(text: &str) -> Option<[u8; 32]> {
    let nibble = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut digest = [0; 32];
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != digest.len() || !odd.is_empty() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(digest)
}

/// The text itself is not shown: whoever wrote it may have taken the key for its hash.
fn bad_hash(text: &str, at: &At<'_>) -> PolicyError {
    let hex = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    let found = format!(
        "{} characters, {}",
        text.chars().count(),
        if hex { "hex" } else { "not hex" }
    );
    let hint = if hex && text.len() == 64 {
        "write it in lower case"
    } else if text.starts_with("sha256:") {
        "leave \"sha256:\" out"
    } else if hex {
        "this is not a whole SHA-256"
    } else {
        "if this is the key itself, it is no longer a secret: `toolgate keygen` makes a new one and its entry"
    };
    let error = PolicyError::new(at, "not a SHA-256 in hex").found(found);
    error.allowed("64 lower-case hex digits").hint(hint)
}

fn check_subjects(raw: Vec<String>, identity: &Identity, at: &At<'_>, errors: &mut Errors) -> Vec<Rc<str>> {
    if identity.jwt.is_none() && !raw.is_empty() {
        let error = PolicyError::new(at, "subjects come from JWTs, and \"identity.jwt\" is not set");
        errors.add(error.hint("add \"jwt\" to \"identity\", or remove \"subjects\""));
    }
    for (index, pattern) in raw.iter().enumerate() {
        names::check_pattern(pattern, &at.element(index), errors);
    }
    raw.into_iter().map(Rc::from).collect()
}

fn find_roles(
    raw: &[String],
    known: &HashMap<&str, RoleId>,
    at: &At<'_>,
    errors: &mut Errors,
) -> Vec<RoleId> {
    let mut roles = Vec::with_capacity(raw.len());
    for (index, name) in raw.iter().enumerate() {
        match known.get(name.as_str()) {
            Some(role) if roles.contains(role) => {}
            Some(role) => roles.push(*role),
            None => {
                let mut names: Vec<&str> = known.keys().copied().collect();
                names.sort_unstable();
                let error = PolicyError::new(&at.element(index), "unknown role").found(quoted(name));
                errors.add(
                    error
                        .allowed(names::defined(&names, "roles"))
                        .nearest(name, names),
                );
            }
        }
    }
    roles
}

fn check_labels(
    labels: BTreeMap<String, String>,
    at: &At<'_>,
    errors: &mut Errors,
) -> BTreeMap<String, String> {
    for (name, value) in &labels {
        let at = at.member(name);
        names::check(name, "label", &at, errors);
        if value.len() > names::MAX_PATTERN || value.chars().any(char::is_control) {
            let error = PolicyError::new(&at, "the label's value is too long or has a control character");
            errors.add(
                error
                    .found(quoted(value))
                    .allowed(format!("up to {} bytes", names::MAX_PATTERN)),
            );
        }
    }
    labels
}

fn expires(text: &str, at: &At<'_>, errors: &mut Errors) -> Option<u64> {
    let seconds = time::parse(text);
    if seconds.is_none() {
        let error = PolicyError::new(at, "not a timestamp")
            .found(quoted(text))
            .allowed(time::ALLOWED);
        let meant = [
            format!("{text}T00:00:00Z"),
            format!("{text}Z"),
            text.replacen(' ', "T", 1),
        ];
        let meant = meant.iter().find(|text| time::parse(text).is_some());
        errors.add(error.hint_if(meant.map(|text| format!("did you mean {}?", quoted(text)))));
    }
    seconds
}
