//! What holds for the whole policy.

use std::collections::BTreeSet;

use serde_json::Value;
use toolgate_engine::policy::{Arguments, Hold, Jwt, Mode, OnError, Policy, Unmatched};

use super::{About, Effect, Side, UNCLEAR, time, word};

pub(super) fn compare(old: &Side<'_>, new: &Side<'_>, about: &mut About<'_>) {
    let (a, b) = (old.policy, new.policy);
    about.choice("mode", a.mode(), b.mode(), &[Mode::Enforce, Mode::Shadow]);
    about.choice("hold", a.hold(), b.hold(), &[Hold::Headers, Hold::Body]);
    let unmatched = [Unmatched::Deny, Unmatched::Pass];
    about.choice("unmatched", a.unmatched(), b.unmatched(), &unmatched);
    about.aside("decisionHeader", a.decision_header(), b.decision_header());
    if a.context_headers() && !b.context_headers() {
        let why = "what refuses by these headers, in Envoy or in a server, does not see them any more";
        about.because(Effect::Wider, "contextHeaders: true → false", why);
    } else {
        about.aside("contextHeaders", a.context_headers(), b.context_headers());
    }
    identity(old, new, about);
    origins(old, new, about);
    limits(a, b, about);
    service(a, b, about);
    sessions(a, b, about);
    telemetry(old, new, about);
}

fn identity(old: &Side<'_>, new: &Side<'_>, about: &mut About<'_>) {
    let headers =
        |side: &Side<'_>| -> BTreeSet<String> { side.policy.identity().headers.iter().cloned().collect() };
    let (before, after) = (headers(old), headers(new));
    for header in after.difference(&before) {
        about.say(Effect::Wider, format!("keys may come in the header {header:?}"));
    }
    for header in before.difference(&after) {
        about.because(
            Effect::Wider,
            format!("keys no longer come in the header {header:?}"),
            "what is in it reaches the servers",
        );
    }
    let anonymous = |side: &Side<'_>| {
        let key = side.policy.identity().anonymous;
        key.map(|key| side.policy.key(key).name.to_string())
    };
    match (anonymous(old), anonymous(new)) {
        (old, new) if old == new => {}
        (Some(key), None) => about.say(
            Effect::Narrower,
            format!("requests without a credential no longer act as {key:?}"),
        ),
        (_, Some(key)) => about.say(
            Effect::Wider,
            format!("requests without a credential act as {key:?}"),
        ),
        (None, None) => {}
    }
    match (&old.policy.identity().jwt, &new.policy.identity().jwt) {
        (None, None) => {}
        (None, Some(_)) => about.say(Effect::Wider, "JWTs are accepted"),
        (Some(jwt), None) => unread(old.policy, new.policy, jwt, about),
        (Some(a), Some(b)) => jwt(old.policy, a, b, about),
    }
}

/// A token that nobody reads names no key any more, and speaks against none either.
fn unread(old: &Policy, new: &Policy, jwt: &Jwt, about: &mut About<'_>) {
    let what = "JWTs are no longer accepted";
    let presented = new.keys().any(|(_, key)| !key.digests.is_empty());
    if new.identity().anonymous.is_some() {
        about.because(Effect::Wider, what, "who comes with one alone is anonymous now");
    } else if jwt.roles_claim.is_some() && refuses(old) {
        about.because(Effect::Wider, what, "nor do claims add what roles refuse");
    } else if presented {
        let why = "a key passes whatever key a JWT beside it would name";
        about.because(Effect::Wider, what, why);
    } else {
        about.say(Effect::Narrower, what);
    }
}

fn refuses(policy: &Policy) -> bool {
    policy.roles().any(|(_, role)| !role.deny.is_empty())
}

fn jwt(policy: &Policy, old: &Jwt, new: &Jwt, about: &mut About<'_>) {
    for (what, old, new) in [
        ("identity.jwt.metadata", &old.metadata, &new.metadata),
        ("identity.jwt.claim", &old.claim, &new.claim),
    ] {
        if old != new {
            about.because(
                Effect::Wider,
                format!("{what}: {old} → {new}"),
                format!("other tokens may name the keys: {UNCLEAR}"),
            );
        }
    }
    match (&old.roles_claim, &new.roles_claim) {
        (old, new) if old == new => {}
        (Some(claim), None) if refuses(policy) => about.because(
            Effect::Wider,
            format!("the claim {claim:?} no longer adds roles"),
            "nor what roles refuse",
        ),
        (Some(claim), None) => {
            about.say(
                Effect::Narrower,
                format!("the claim {claim:?} no longer adds roles"),
            );
        }
        (_, Some(claim)) => about.say(Effect::Wider, format!("the claim {claim:?} adds roles")),
        (None, None) => {}
    }
}

fn origins(old: &Side<'_>, new: &Side<'_>, about: &mut About<'_>) {
    let (before, after) = (
        old.written("/origins").is_null(),
        new.written("/origins").is_null(),
    );
    match (before, after) {
        (true, false) => about.say(Effect::Narrower, "Origin is checked"),
        (false, true) => about.say(Effect::Wider, "Origin is no longer checked"),
        _ => about.list(
            "origins",
            &old.texts("/origins"),
            &new.texts("/origins"),
            (Effect::Wider, Effect::Narrower),
        ),
    }
}

fn limits(old: &Policy, new: &Policy, about: &mut About<'_>) {
    let (a, b) = (old.limits(), new.limits());
    let bytes = |n: usize| format!("{n} bytes");
    about.grows("limits.requestBytes", a.request_bytes, b.request_bytes, bytes);
    about.grows("limits.resultBytes", a.result_bytes, b.result_bytes, bytes);
    about.grows("limits.depth", a.depth, b.depth, |n| n.to_string());
    about.grows("limits.bodyTimeout", a.body_timeout, b.body_timeout, time);
    about.choice(
        "limits.bigIntegers",
        a.big_integers,
        b.big_integers,
        &[false, true],
    );
}

fn service(old: &Policy, new: &Policy, about: &mut About<'_>) {
    let (Some(a), Some(b)) = (old.rate_limit_service(), new.rate_limit_service()) else {
        // Without one there are no global limits, and what becomes of those is told where they are.
        match (old.rate_limit_service(), new.rate_limit_service()) {
            (None, Some(_)) => about.say(Effect::Other, "rateLimitService added"),
            (Some(_), None) => about.say(Effect::Other, "rateLimitService removed"),
            _ => {}
        }
        return;
    };
    for (what, old, new) in [
        ("cluster", a.cluster.to_string(), b.cluster.to_string()),
        ("domain", a.domain.to_string(), b.domain.to_string()),
        ("engine", word(a.engine), word(b.engine)),
    ] {
        if old != new {
            about.because(
                Effect::Wider,
                format!("rateLimitService.{what}: {old} → {new}"),
                "what was counted there begins anew",
            );
        }
    }
    let from_narrow = [OnError::Deny, OnError::Local, OnError::Allow];
    about.choice("rateLimitService.onError", a.on_error, b.on_error, &from_narrow);
    if a.timeout != b.timeout {
        let what = format!(
            "rateLimitService.timeout: {} → {}",
            time(a.timeout),
            time(b.timeout)
        );
        if b.timeout < a.timeout && b.on_error != OnError::Deny {
            about.because(
                Effect::Wider,
                what,
                "onError lets calls pass that it does not count",
            );
        } else {
            about.say(Effect::Other, what);
        }
    }
}

fn sessions(old: &Policy, new: &Policy, about: &mut About<'_>) {
    let name = |policy: &Policy| policy.sessions().secret_env.clone();
    let (old, new) = (name(old), name(new));
    if old == new {
        return;
    }
    let (effect, why) = match &new {
        Some(_) => (
            Effect::Wider,
            "who knows what it holds can name sessions and tasks of every key, and diff cannot look",
        ),
        None => (Effect::Other, "sessions and tasks begun before are unknown"),
    };
    let show = |name: Option<String>| name.unwrap_or_else(|| "a random secret".to_owned());
    let what = format!("sessions.secretEnv: {} → {}", show(old), show(new));
    about.because(effect, what, why);
}

fn telemetry(old: &Side<'_>, new: &Side<'_>, about: &mut About<'_>) {
    let (a, b) = (old.policy.telemetry(), new.policy.telemetry());
    about.aside("telemetry.perKey", a.per_key, b.per_key);
    about.aside("telemetry.chains", a.chains, b.chains);
    if a.arguments != b.arguments {
        let what = format!(
            "telemetry.arguments: {} → {}",
            word(a.arguments),
            word(b.arguments)
        );
        match b.arguments {
            Arguments::Values => about.because(Effect::Wider, what, "records show what calls say"),
            Arguments::Digest | Arguments::Off => about.say(Effect::Other, what),
        }
    }
    let masks = |side: &Side<'_>| -> Vec<String> {
        let masks = side.written("/telemetry/mask").as_array();
        masks.into_iter().flatten().map(Value::to_string).collect()
    };
    let (before, after) = (masks(old), masks(new));
    for mask in before.iter().filter(|mask| !after.contains(mask)) {
        about.because(
            Effect::Wider,
            format!("telemetry.mask: {mask} removed"),
            "records may show what it hid",
        );
    }
    for mask in after.iter().filter(|mask| !before.contains(mask)) {
        about.say(Effect::Narrower, format!("telemetry.mask: {mask} added"));
    }
}
