//! Raw to compiled: everything that a document's shape does not show.

mod identity;
mod keys;
mod names;
mod resilience;
mod roles;
mod servers;
mod service;
mod settings;
mod teams;
mod telemetry;
mod usage;
mod vocabulary;
mod window;

use super::error::{At, Errors, PolicyError};
use super::{Directory, Policy, PolicyHash, raw};

/// Compiles what the document says, reporting everything that cannot be meant.
///
/// Always returns a policy; with errors, it must not be used.
pub(super) fn compile(raw: raw::Policy, hash: PolicyHash, errors: &mut Errors) -> Policy {
    let root = At::Root;
    if raw.version != 1 {
        let error = PolicyError::new(&root.member("version"), "unknown version of the policy format");
        errors.add(error.found(raw.version.to_string()).allowed("1"));
    }
    let identity = identity::compile(raw.identity, &raw.keys, errors);
    let mut servers = servers::compile(raw.servers, errors);
    let server_names = servers.list.iter().map(|server| &*server.name).collect();
    let roles = roles::compile(raw.roles, &server_names, errors);
    let telemetry = telemetry::compile(raw.telemetry, &server_names, errors);
    let service = raw.rate_limit_service.0;
    let rate_limit_service = service.map(|service| service::compile(service, errors));
    let limits = usage::Context {
        servers: &server_names,
        engine: rate_limit_service.as_ref().map(|service| service.engine),
    };
    let teams = teams::compile(raw.teams, &limits, errors);
    let keys = keys::compile(
        raw.keys,
        &keys::Context {
            roles: &roles,
            teams: &teams,
            identity: &identity,
            limits,
        },
        errors,
    );
    vocabulary::fill(&mut servers.list, &roles, &teams, &keys.list);
    Policy {
        mode: raw.mode,
        hash,
        hold: raw.hold,
        unmatched: raw.unmatched,
        decision_header: raw.decision_header,
        limits: settings::limits(&raw.limits, errors),
        origins: raw.origins.0.map(|origins| settings::origins(origins, errors)),
        identity,
        server_names: Directory::new(servers.list.iter().map(|server| &server.name)),
        role_names: Directory::new(roles.iter().map(|role| &role.name)),
        key_names: Directory::new(keys.list.iter().map(|key| &key.name)),
        servers: servers.list,
        places: servers.places,
        roles,
        team_names: Directory::new(teams.iter().map(|team| &team.name)),
        teams,
        rate_limit_service,
        sessions: resilience::sessions(raw.sessions, errors),
        telemetry,
        context_headers: raw.context_headers,
        keys: keys.list,
        digests: keys.digests,
        subjects: keys.subjects,
        nothing: super::Nothing::default(),
    }
}
