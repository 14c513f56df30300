//! `render ratelimit`: the files that rate limit services read. That real services accept them is tested elsewhere.

mod common;

use common::{Bench, DIGEST, policy};
use serde_json::{Value, json};

const RENDER: &str = "render ratelimit --policy policy.json";

/// Global limits of a key and of its team, and a local one.
fn limited(engine: &str) -> Value {
    json!({
        "version": 1,
        "servers": { "docs": { "path": "/docs/mcp", "cost": 0.01 } },
        "roles": { "reader": { "allow": ["docs/*"] } },
        "teams": { "a/b": { "budget": { "limit": 20000, "per": "month", "scope": "global" } } },
        "keys": { "ada": {
            "sha256": [DIGEST], "roles": ["reader"], "team": "a/b",
            "quotas": [
                { "limit": 5, "per": "second" },
                { "limit": 600, "per": "5m", "scope": "global" },
            ],
        } },
        "rateLimitService": { "cluster": "ratelimit", "engine": engine },
    })
}

/// The lines that are no comments.
fn content(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

/// `NAME=VALUE` where the comments recommend it.
fn recommended(text: &str) -> Vec<String> {
    let settings = text.lines().filter_map(|line| line.strip_prefix("#   "));
    settings
        .filter(|setting| setting.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(str::to_owned)
        .collect()
}

fn read(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_domain_file_names_the_domain_and_no_limit() {
    let mut policy = limited("envoyproxy");
    let said = Bench::new(&policy).run(RENDER);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert_eq!(content(&said.out), ["domain: toolgate", "descriptors: []"]);

    policy["rateLimitService"]["domain"] = json!("prod: mcp");
    let said = Bench::new(&policy).run(RENDER);
    assert_eq!(content(&said.out), ["domain: \"prod: mcp\"", "descriptors: []"]);
}

#[test]
fn the_settings_are_those_that_the_real_service_is_tested_with() {
    let printed = recommended(&Bench::new(&limited("envoyproxy")).run(RENDER).out);
    let tested = read("tests/src/rate_limit/service.rs");
    let (_, list) = tested.split_once("pub const RECOMMENDED").unwrap();
    let (list, rest) = list.split_once("];").unwrap();
    let pairs = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("\"),"));
    let pairs: Vec<String> = pairs.map(|pair| pair.replace("\", \"", "=")).collect();
    assert!(pairs.len() >= 7, "{pairs:?}");
    for pair in &pairs {
        assert!(printed.contains(pair), "{pair} is not in {printed:?}");
    }
    for pair in &printed {
        let (name, value) = pair.split_once('=').unwrap();
        let set = format!(".env(\"{name}\", \"{value}\")");
        assert!(
            pairs.contains(pair) || rest.contains(&set),
            "{pair} is not tested"
        );
    }
}

#[test]
fn the_files_to_copy_are_what_is_rendered() {
    let rendered = Bench::new(&limited("envoyproxy")).run(RENDER).out;
    assert_eq!(read("envoy/ratelimit/toolgate.yaml"), rendered);
    let copied = read("envoy/ratelimit/ratelimit.env");
    for setting in recommended(&rendered) {
        assert!(
            copied.lines().any(|line| line == setting),
            "{setting} is not in ratelimit.env"
        );
    }
    let redis = read("envoy/ratelimit/redis.conf");
    for line in ["appendonly yes", "maxmemory-policy noeviction"] {
        assert!(
            redis.lines().any(|at| at == line) && rendered.contains(line),
            "{line}"
        );
    }
}

#[test]
fn the_limits_file_has_the_global_limits_and_no_other() {
    let said = Bench::new(&limited("limitador")).run(RENDER);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let lines = content(&said.out);
    let values = |name: &str| -> Vec<Value> {
        let prefix = format!("{name}: ");
        let lines = lines.iter().map(|line| line.trim_start_matches(['-', ' ']));
        lines
            .filter_map(|line| line.strip_prefix(&prefix))
            .map(|value| serde_json::from_str(value).unwrap())
            .collect()
    };
    assert_eq!(values("namespace"), ["toolgate", "toolgate"]);
    assert_eq!(
        values("name"),
        ["/teams/a~1b/budget", "/keys/ada/quotas/1"],
        "pointers into the policy"
    );
    // Millionths; longer than a month, whose end the question tells.
    assert_eq!(values("max_value"), [json!(20_000_000_000_u64), json!(600)]);
    assert_eq!(values("seconds"), [json!(32 * 86_400), json!(300)]);
    assert_eq!(values("conditions"), [json!([]), json!([])]);
    let variables = values("variables");
    assert_eq!(variables.len(), 2);
    for variable in &variables {
        let text = variable[0].as_str().unwrap();
        assert!(text.starts_with("descriptors[0]['limit_"), "{text}");
    }
    assert_ne!(variables[0], variables[1]);
}

#[test]
fn another_engine_than_the_policys_is_rendered_with_a_warning() {
    for (named, other, expected) in [
        ("envoyproxy", "limitador", "- namespace: \"toolgate\""),
        ("limitador", "envoyproxy", "domain: toolgate"),
    ] {
        let bench = Bench::new(&limited(named));
        let said = bench.run(&format!("{RENDER} --engine {other}"));
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(content(&said.out)[0], expected);
        let advice = format!("set \"engine\": \"{other}\"");
        assert!(said.err.contains(named) && said.err.contains(&advice), "{said:?}");
        let said = bench.run(&format!("{RENDER} --engine {named}"));
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    }
    Bench::new(&limited("limitador"))
        .run(&format!("{RENDER} --engine redis"))
        .is_usage(&["envoyproxy", "limitador"]);
}

#[test]
fn a_policy_without_a_service_has_nothing_to_tell_one() {
    let said = Bench::new(&policy()).run(RENDER);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(
        said.err.contains("no rate limit service") && said.err.contains("\"rateLimitService\""),
        "{said:?}"
    );
}

#[test]
fn a_service_that_no_limit_asks_is_rendered_with_a_warning() {
    for (engine, expected) in [("envoyproxy", "domain: toolgate"), ("limitador", "[]")] {
        let mut unused = policy();
        unused["rateLimitService"] = json!({ "cluster": "ratelimit", "engine": engine });
        let said = Bench::new(&unused).run(RENDER);
        assert_eq!((said.code, content(&said.out)[0]), (Some(0), expected));
        assert!(said.err.contains("never asked"), "{said:?}");
    }
}

#[test]
fn an_invalid_policy_is_no() {
    let mut wrong = limited("envoyproxy");
    wrong["keys"]["ada"]["quotas"][1]["burst"] = json!(3);
    let said = Bench::new(&wrong).run(RENDER);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.err.contains("/keys/ada/quotas/1/burst"), "{said:?}");
}
