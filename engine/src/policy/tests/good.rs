use std::time::Duration;

use super::{compiled, hash};
use crate::policy::*;

#[test]
fn defaults() {
    let policy = compiled(r#"{"version":1}"#);
    assert_eq!(policy.mode(), Mode::Enforce);
    assert_eq!(policy.hold(), Hold::Headers);
    assert_eq!(policy.unmatched(), Unmatched::Deny);
    assert!(policy.decision_header());
    assert_eq!(
        *policy.limits(),
        Limits {
            request_bytes: 1_048_576,
            result_bytes: 8_388_608,
            depth: 64,
            body_timeout: Duration::from_secs(15),
            big_integers: false
        }
    );
    assert_eq!(
        *policy.identity(),
        Identity {
            headers: vec!["authorization".into(), "x-virtual-key".into()],
            jwt: None,
            anonymous: None
        }
    );
    assert!(policy.origin_allowed(b"https://anywhere.example"));
    let policy = compiled(r#"{"version":1,"servers":{"d":{"path":"/d"}}}"#);
    let server = policy.server(policy.server_by_name("d").unwrap());
    assert_eq!(server.unlisted_tools, UnlistedTools::Allow);
    assert_eq!(server.schemas, Schemas::Policy);
    assert_eq!(server.integrity, Integrity::Pinned);
    assert!(server.methods.is_none() && server.host.is_none());
}

#[test]
fn every_setting_arrives() {
    let policy = compiled(&format!(
        r#"{{"$schema":"https://x.example/policy.json","version":1,"mode":"shadow","hold":"body","unmatched":"pass","decisionHeader":false,
        "identity":{{"headers":["X-Key"],"jwt":{{"metadata":"m","claim":"c","rolesClaim":"r"}},"anonymous":"guest"}},
        "origins":["https://a.example:8443","null","chrome-extension://abc"],
        "limits":{{"requestBytes":16777216,"resultBytes":67108864,"depth":1,"bodyTimeout":"1h","batches":false,"bigIntegers":true}},
        "servers":{{"d":{{"path":"/d","host":"D.example","methods":["tools/*"],"unlistedTools":"deny","schemas":"advertised","integrity":"off",
            "tools":{{"t":{{"inputSchema":{{"type":"object"}}}},"u":{{}}}}}}}},
        "roles":{{"r":{{"allow":["d/*"],"deny":["*/x"],"resources":["d/file:///*"],"prompts":["d/p"],"mode":"shadow"}}}},
        "teams":{{"t":{{}}}},
        "keys":{{"guest":{{}},"k":{{"sha256":["{}","{}"],"subjects":["u:*"],"roles":["r","r"],"team":"t","labels":{{"a":"b"}},
            "expires":"2027-01-31T00:00:00Z","disabled":true,"mode":"enforce"}}}}}}"#,
        hash(1),
        hash(2)
    ));
    assert_eq!(
        (
            policy.mode(),
            policy.hold(),
            policy.unmatched(),
            policy.decision_header()
        ),
        (Mode::Shadow, Hold::Body, Unmatched::Pass, false)
    );
    let identity = policy.identity();
    assert_eq!(identity.headers, ["x-key"]);
    let jwt = Jwt {
        metadata: "m".into(),
        claim: "c".into(),
        roles_claim: Some("r".into()),
    };
    assert_eq!(identity.jwt, Some(jwt));
    assert_eq!(identity.anonymous, policy.key_by_name("guest"));
    assert!(policy.limits().big_integers);
    for (origin, allowed) in [
        ("https://a.example:8443", true),
        ("null", true),
        ("chrome-extension://abc", true),
        ("https://a.example", false),
        ("https://A.example:8443", false),
        ("", false),
    ] {
        assert_eq!(policy.origin_allowed(origin.as_bytes()), allowed, "{origin}");
    }
    let server = policy.server(policy.server_by_name("d").unwrap());
    assert_eq!(server.host.as_deref(), Some("d.example"));
    assert!(server.methods.as_ref().unwrap().matches_text("tools/call"));
    assert!(server.tool("t").unwrap().input_schema.is_some());
    assert!(server.tool("u").unwrap().input_schema.is_none());
    assert!(server.tool("v").is_none());
    assert_eq!(
        (server.schemas, server.integrity, server.unlisted_tools),
        (Schemas::Advertised, Integrity::Off, UnlistedTools::Deny)
    );
    let role = policy.role(policy.role_by_name("r").unwrap());
    assert!(role.allow.matches("d", "x") && role.deny.matches("d", "x") && role.prompts.matches("d", "p"));
    assert!(role.resources.matches("d", "file:///etc") && !role.resources.matches("e", "file:///etc"));
    assert_eq!(role.mode, Some(Mode::Shadow));
    let id = policy.key_by_name("k").unwrap();
    let key = policy.key(id);
    assert_eq!(key.roles, [policy.role_by_name("r").unwrap()]);
    assert_eq!((key.team.as_deref(), key.labels["a"].as_str()), (Some("t"), "b"));
    assert_eq!(
        (key.expires, key.disabled, key.mode),
        (Some(1_801_353_600), true, Some(Mode::Enforce))
    );
    assert!(key.expired(1_801_353_600) && !key.expired(1_801_353_599));
    assert_eq!(policy.key_by_digest(&[1; 32]), Some(id));
    assert_eq!(policy.key_by_digest(&[2; 32]), Some(id));
    assert_eq!(policy.key_by_digest(&[3; 32]), None);
}

#[test]
fn an_empty_list_of_origins_refuses_every_origin() {
    assert!(!compiled(r#"{"version":1,"origins":[]}"#).origin_allowed(b"https://a.example"));
}

#[test]
fn a_key_that_nothing_presents_can_be_the_anonymous_one() {
    let policy = compiled(
        r#"{"version":1,"identity":{"headers":[],"anonymous":"guest"},"keys":{"guest":{"roles":[]}}}"#,
    );
    assert_eq!(policy.identity().anonymous, policy.key_by_name("guest"));
    compiled(r#"{"version":1,"identity":{"anonymous":null}}"#);
}

#[test]
fn servers_are_found_by_path_and_host() {
    let policy = compiled(
        r#"{"version":1,"servers":{"any":{"path":"/m"},"a":{"path":"/m","host":"a.example"},"b":{"path":"/m","host":"b.example"},
            "only":{"path":"/only","host":"[::1]"},"slash":{"path":"/m/"}}}"#,
    );
    for (host, path, expected) in [
        (None, "/m", Some("any")),
        (Some("c.example"), "/m", Some("any")),
        (Some("a.example"), "/m", Some("a")),
        (Some("A.Example:8443"), "/m", Some("a")),
        (Some("a.example:"), "/m", Some("a")),
        (Some("a.example:x"), "/m", Some("a")),
        (Some("a.example."), "/m", Some("any")),
        (Some("b.example"), "/m", Some("b")),
        (Some("xa.example"), "/m", Some("any")),
        (Some("a.example"), "/m/", Some("slash")),
        (Some("a.example"), "/M", None),
        (Some("a.example"), "/m?x", None),
        (Some("a.example"), "", None),
        (Some("[::1]:80"), "/only", Some("only")),
        (Some("[::1]"), "/only", Some("only")),
        (Some("[::1]:x"), "/only", Some("only")),
        (Some("::1"), "/only", None),
        (None, "/only", None),
    ] {
        let found = policy.find_server(host.map(str::as_bytes), path.as_bytes());
        assert_eq!(
            found.map(|id| &*policy.server(id).name),
            expected,
            "{host:?} {path}"
        );
    }
    assert_eq!(
        policy.find_server(Some(b"\xff\xfe"), b"/m"),
        policy.server_by_name("any")
    );
}

#[test]
fn hosts_with_two_readings_are_known_where_hosts_count() {
    let policy = compiled(
        r#"{"version":1,"servers":{"any":{"path":"/m"},"a":{"path":"/m","host":"a.example"},"free":{"path":"/free"}}}"#,
    );
    for plain in [
        "a.example",
        "A.Example:8443",
        "a.example:",
        "10.0.0.1:80",
        "[::1]",
        "[::1]:80",
        "x_y",
    ] {
        assert!(!policy.host_is_ambiguous(plain.as_bytes(), b"/m"), "{plain}");
    }
    for odd in [
        "a.example.",
        "a.example.:80",
        "a.example:x",
        "a.example:80x",
        "a.example:+80",
        "a.example:80:80",
        "x@a.example",
        "a.example,b",
        "[::1",
        "[::1]x",
        "[::1]:x",
        "::1",
    ] {
        assert!(policy.host_is_ambiguous(odd.as_bytes(), b"/m"), "{odd}");
        assert!(!policy.host_is_ambiguous(odd.as_bytes(), b"/free"), "{odd}");
        assert!(!policy.host_is_ambiguous(odd.as_bytes(), b"/none"), "{odd}");
    }
}

#[test]
fn subjects_name_one_key_or_refuse() {
    let policy = compiled(
        r#"{"version":1,"identity":{"jwt":{}},"keys":{
            "ci":{"subjects":["repo:acme/*","repo:acme/x*"]},"alice":{"subjects":["alice"]},"staff":{"subjects":["*@acme.example"]},
            "bob":{"subjects":["bob@acme.example"]}}}"#,
    );
    let id = |name: &str| policy.key_by_name(name).unwrap();
    assert_eq!(policy.keys_by_subject("alice"), SubjectMatch::One(id("alice")));
    assert_eq!(
        policy.keys_by_subject("repo:acme/tools"),
        SubjectMatch::One(id("ci"))
    );
    assert_eq!(
        policy.keys_by_subject("repo:acme/xyz"),
        SubjectMatch::One(id("ci"))
    );
    assert_eq!(
        policy.keys_by_subject("carol@acme.example"),
        SubjectMatch::One(id("staff"))
    );
    assert_eq!(policy.keys_by_subject("Alice"), SubjectMatch::None);
    assert_eq!(policy.keys_by_subject(""), SubjectMatch::None);
    let SubjectMatch::Several(mut both) = policy.keys_by_subject("bob@acme.example") else {
        panic!("two keys have this subject");
    };
    both.sort();
    assert_eq!(both, [id("bob"), id("staff")]);
}

#[test]
fn the_id_of_another_policy_names_nothing() {
    let other = compiled(
        r#"{"version":1,"identity":{"anonymous":"k"},"servers":{"s":{"path":"/s"}},"roles":{"r":{}},"keys":{"k":{}}}"#,
    );
    let policy = compiled(r#"{"version":1}"#);
    let server = policy.server(other.server_by_name("s").unwrap());
    assert_eq!(server.unlisted_tools, UnlistedTools::Deny);
    assert!(server.methods.as_ref().unwrap().is_empty());
    let key = policy.key(other.key_by_name("k").unwrap());
    assert!(key.disabled && key.expired(0) && key.roles.is_empty());
    assert!(policy.role(other.role_by_name("r").unwrap()).allow.is_empty());
}

#[test]
fn ten_thousand_keys_and_a_thousand_tools_compile_and_are_found() {
    use std::fmt::Write as _;
    let mut text = String::from(r#"{"version":1,"servers":{"#);
    for s in 0..100 {
        let tools: Vec<String> = (0..10).map(|t| format!(r#""tool_{t}":{{}}"#)).collect();
        write!(
            text,
            r#"{}"s{s}":{{"path":"/s{s}","tools":{{{}}}}}"#,
            if s > 0 { "," } else { "" },
            tools.join(",")
        )
        .unwrap();
    }
    let tools: Vec<String> = (0..1_000)
        .map(|n| format!(r#""s{}/tool_{}""#, n / 10, n % 10))
        .collect();
    write!(
        text,
        r#"}},"roles":{{"all":{{"allow":[{}]}}}},"keys":{{"#,
        tools.join(",")
    )
    .unwrap();
    for k in 0..10_000 {
        write!(
            text,
            r#"{}"key-{k:05}":{{"sha256":["{k:064x}"],"roles":["all"]}}"#,
            if k > 0 { "," } else { "" }
        )
        .unwrap();
    }
    text.push_str("}}");
    let policy = compiled(&text);
    let mut digest = [0; 32];
    digest[30..].copy_from_slice(&9_999_u16.to_be_bytes());
    let id = policy.key_by_digest(&digest).unwrap();
    assert_eq!(&*policy.key(id).name, "key-09999");
    let role = policy.role(policy.role_by_name("all").unwrap());
    assert_eq!(role.allow.first_match("s99", "tool_9"), Some("s99/tool_9"));
    assert!(!role.allow.matches("s99", "tool_10"));
}
