//! Quotas and budgets: what `check`, `explain` and `who-can` say of them, and the cluster that counts global ones.

mod common;

use common::{Bench, limited};
use serde_json::json;

const BOTH: &str = "--upstream docs=http://127.0.0.1:3000/mcp --upstream files=http://127.0.0.1:3001/";

#[test]
fn check_counts_limits_and_says_which_of_them_a_restart_forgets() {
    let said = Bench::new(&limited()).run("check policy.json");
    assert_eq!(said.code, Some(0));
    let (warnings, summary) = said.out.trim_end().rsplit_once('\n').unwrap();
    let counted = "valid: policy.json: 2 servers, 2 roles, 2 teams, 4 keys, 4 quotas, 2 budgets, 1 of them global, hash ";
    assert!(summary.starts_with(counted), "{summary}");
    let local = "/keys/ada/budget: what is spent is forgotten when Envoy restarts";
    assert!(warnings.contains(local), "{warnings}");
    assert!(!warnings.contains("/teams/all/budget"), "{warnings}");
    assert!(
        warnings.contains("/keys/ada/quotas/2/on"),
        "it counts nothing: {warnings}"
    );

    let mut wrong = limited();
    wrong.as_object_mut().unwrap().remove("rateLimitService");
    wrong["keys"]["ada"]["team"] = json!("egn");
    wrong["keys"]["ada"]["quotas"][0]["limit"] = json!(0);
    let said = Bench::new(&wrong).run("check policy.json");
    assert_eq!(said.code, Some(1));
    for part in [
        "/teams/all/budget/scope: global limits need \"rateLimitService\"",
        "/keys/ada/quotas/0/limit: no calls at all",
        "did you mean \"eng\"?",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
}

#[test]
fn check_says_what_limits_cannot_be_and_what_they_can() {
    for (engine, pointer, value, part) in [
        (
            "envoyproxy",
            "/teams/all/budget/per",
            json!("total"),
            "every 365 days",
        ),
        (
            "envoyproxy",
            "/keys/ada/quotas/3/per",
            json!("7h"),
            "\"6h\" or \"8h\"",
        ),
        ("envoyproxy", "/keys/ada/quotas/3/per", json!("366d"), "\"365d\""),
        (
            "limitador",
            "/keys/ada/quotas/3/per",
            json!("250ms"),
            "whole seconds",
        ),
        (
            "limitador",
            "/keys/ada/quotas/3/burst",
            json!(3),
            "leave \"burst\" out",
        ),
        ("limitador", "/keys/ada/quotas/0/per", json!("3651d"), "\"3650d\""),
        (
            "limitador",
            "/keys/ada/quotas/0/limit",
            json!(1.5),
            "not a whole number",
        ),
        (
            "limitador",
            "/keys/ada/budget/limit",
            json!(0.000_000_1),
            "six decimals",
        ),
        ("limitador", "/teams/eng/parent", json!("eng"), "circle"),
    ] {
        let mut limited = limited();
        limited["rateLimitService"]["engine"] = json!(engine);
        let quotas = limited["keys"]["ada"]["quotas"].as_array_mut().unwrap();
        quotas.push(json!({ "limit": 5, "per": "hour", "scope": "global" }));
        let (owner, field) = pointer.rsplit_once('/').unwrap();
        limited.pointer_mut(owner).unwrap()[field] = value;
        let said = Bench::new(&limited).run("check policy.json");
        assert_eq!(said.code, Some(1), "{pointer}: {}", said.out);
        assert!(said.out.contains("policy.json: 1 error\n"), "{}", said.out);
        assert!(
            said.out.contains(pointer) && said.out.contains(part),
            "{part}: {}",
            said.out
        );
    }
    // Limitador has totals and any whole seconds.
    let mut limited = limited();
    limited["rateLimitService"]["engine"] = json!("limitador");
    limited["teams"]["all"]["budget"]["per"] = json!("total");
    limited["keys"]["ada"]["quotas"][0] = json!({ "limit": 5, "per": "7h", "scope": "global" });
    assert_eq!(Bench::new(&limited).run("check policy.json").code, Some(0));
}

#[test]
fn explain_names_the_limits_that_count_a_call_and_what_it_takes_from_them() {
    let bench = Bench::new(&limited());
    let call = |name: &str| {
        let request =
            json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": name } });
        bench.write("request.json", &request.to_string());
    };
    let explain = "explain --policy policy.json --server docs --request request.json";
    call("search");
    let said = bench.run(&format!("{explain} --key ada"));
    assert_eq!(said.code, Some(0), "{said:?}");
    for line in [
        "  • quota     counts against 100 calls per minute, 20 at once, of key \"ada\" (local)\n",
        "  • quota     counts against 2000 calls per minute of team \"eng\" (local)\n",
        "  • budget    takes 0.002, and 0.001 for each KiB of its result, of 50 per day of key \"ada\" (local)\n",
        "  • budget    takes 0.002, and 0.001 for each KiB of its result, of 20000 per month of team \"all\" (global)\n",
        "  what is left of a limit is known where calls are made\n",
    ] {
        assert!(said.out.contains(line), "{line}{}", said.out);
    }
    let limits = |said: &common::Said| said.json()["limits"].as_array().unwrap().clone();
    let said = bench.run(&format!("{explain} --key ada --format json"));
    assert_eq!(
        limits(&said)
            .iter()
            .map(|limit| &limit["pointer"])
            .collect::<Vec<_>>(),
        [
            "/keys/ada/quotas/0",
            "/teams/eng/quotas/0",
            "/keys/ada/budget",
            "/teams/all/budget"
        ]
    );
    assert_eq!(
        limits(&said)[3],
        json!({
            "pointer": "/teams/all/budget", "kind": "budget", "owner": "team", "name": "all", "scope": "global",
            "text": "20000 per month of team \"all\" (global)", "cost_micros": 2000, "cost_micros_per_kib": 1000,
        })
    );
    let checks = said.json()["checks"].as_array().unwrap().clone();
    assert_eq!(checks.iter().filter(|at| at["outcome"] == "counted").count(), 4);

    // Another tool: the server's price, and the quota on such tools.
    call("export");
    let said = limits(&bench.run(&format!("{explain} --key ada --format json")));
    assert_eq!(
        (&said[1]["pointer"], &said[1]["text"], &said[1]["calls"]),
        (
            &json!("/keys/ada/quotas/1"),
            &json!("5 calls per hour, on docs/exp*, for each tool, of key \"ada\" (local)"),
            &json!(1)
        )
    );
    assert_eq!(said[3]["cost_micros"], 10_000);

    // What is refused before is charged to nobody; a key without limits has none.
    call("drop_table");
    for key in ["ada", "try"] {
        assert_eq!(
            bench.run(&format!("{explain} --key {key} --format json")).json()["limits"],
            json!([])
        );
    }
    bench.write(
        "request.json",
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#,
    );
    assert_eq!(
        bench.run(&format!("{explain} --key ada --format json")).json()["limits"],
        json!([]),
        "only calls count"
    );

    let grants = bench.run("explain --policy policy.json --key ada --server docs");
    let (_, told) = grants.out.split_once("limits on tool calls\n").unwrap();
    assert_eq!(
        told.lines().count(),
        5,
        "all but the one on another server: {told}"
    );
    let grants = bench.run("explain --policy policy.json --key try --server docs --format json");
    assert_eq!(grants.json()["grants"]["limits"], json!([]));
}

#[test]
fn what_only_shadow_mode_lets_through_counts_against_no_limit() {
    let mut shadow = limited();
    shadow["keys"]["ada"]["mode"] = json!("shadow");
    let bench = Bench::new(&shadow);
    for (tool, allowed) in [("search", true), ("drop_table", false)] {
        let request =
            json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": tool } });
        bench.write("request.json", &request.to_string());
        let said = bench
            .run("explain --policy policy.json --server docs --request request.json --key ada --format json")
            .json();
        assert_eq!(said["decision"], "allowed");
        assert_eq!(said["would_deny"].is_null(), allowed, "{tool}");
        assert_eq!(!said["limits"].as_array().unwrap().is_empty(), allowed, "{tool}");
    }
}

#[test]
fn who_can_names_the_limits_of_each() {
    let bench = Bench::new(&limited());
    let said = bench.run("who-can --policy policy.json docs/search");
    let expected = "\
✓ ada (team eng)  allowed by \"docs/*\" of role \"reader\"
    100 calls per minute, 20 at once, of key \"ada\" (local)
    2000 calls per minute of team \"eng\" (local)
    50 per day of key \"ada\" (local)
    20000 per month of team \"all\" (global)
✗ bob  no role of the key allows it
";
    assert!(said.out.starts_with(expected), "{}", said.out);
    let report = bench
        .run("who-can --policy policy.json docs/search --format json")
        .json();
    let limits = report["can"][0]["limits"].as_array().unwrap();
    assert_eq!(limits.len(), 4);
    assert_eq!(
        limits[0],
        json!({
            "pointer": "/keys/ada/quotas/0", "kind": "quota", "owner": "key", "name": "ada", "scope": "local",
            "text": "100 calls per minute, 20 at once, of key \"ada\" (local)", "calls": 1,
        })
    );
    assert_eq!(report["can"][1]["limits"], json!([]), "the shadow key has none");

    // Refused in a shadow mode: the key's own spares its limits, a role's does not.
    let mut shadow = limited();
    shadow["roles"]["reader"]["deny"] = json!(["docs/drop_*"]);
    for (place, counted) in [("/keys/ada", 0), ("/roles/reader", 4)] {
        let mut shadow = shadow.clone();
        shadow.pointer_mut(place).unwrap()["mode"] = json!("shadow");
        let report = Bench::new(&shadow)
            .run("who-can --policy policy.json docs/drop_table --format json")
            .json();
        let ada = &report["can"][0];
        assert_eq!((&ada["key"], &ada["shadow"]), (&json!("ada"), &json!(true)));
        assert_eq!(ada["limits"].as_array().unwrap().len(), counted, "{place}");
    }
}

#[test]
fn the_rate_limit_service_is_a_cluster_of_the_policys_name_that_speaks_http2() {
    let bench = Bench::new(&limited());
    for (address, kind, host, port) in [
        ("127.0.0.1:8081", "STATIC", "127.0.0.1", 8081),
        ("[::1]:80", "STATIC", "::1", 80),
        ("limits.mesh:8081", "LOGICAL_DNS", "limits.mesh", 8081),
    ] {
        let bootstrap = bench.bootstrap(&format!("{BOTH} --rate-limit-service {address}"));
        let clusters = bootstrap["static_resources"]["clusters"].as_array().unwrap();
        let cluster = clusters
            .iter()
            .find(|cluster| cluster["name"] == "limits")
            .unwrap();
        assert_eq!(cluster["type"], kind, "{address}");
        let endpoint = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"];
        assert_eq!(
            endpoint["socket_address"],
            json!({ "address": host, "port_value": port }),
            "{address}"
        );
        let options = &cluster["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
        assert!(
            options["explicit_http_config"]["http2_protocol_options"].is_object(),
            "{cluster:#}"
        );
        assert!(
            cluster["circuit_breakers"]["thresholds"][0]["max_requests"]
                .as_u64()
                .unwrap()
                > 1_024
        );
    }
}

#[test]
fn global_limits_and_their_service_must_be_given_together() {
    let bench = Bench::new(&limited());
    bench
        .render(BOTH)
        .is_usage(&["scope \"global\"", "\"limits\"", "--rate-limit-service HOST:PORT"]);
    for address in ["limits", "http://h:1", "h:1/x", "h:x", "u@h:1"] {
        bench
            .render(&format!("{BOTH} --rate-limit-service {address}"))
            .is_usage(&[address, "HOST:PORT"]);
    }
    let mut same = limited();
    same["rateLimitService"]["cluster"] = json!("docs");
    Bench::new(&same)
        .render(&format!("{BOTH} --rate-limit-service h:1"))
        .is_usage(&["both named \"docs\""]);

    // Local limits alone need no service, and one that is given is not asked.
    let mut local = limited();
    local["teams"]["all"]["budget"]["scope"] = json!("local");
    let bench = Bench::new(&local);
    bench.bootstrap(BOTH);
    let said = bench.render(&format!("{BOTH} --rate-limit-service h:1"));
    assert!(
        said.code == Some(0) && said.err.contains("never asked"),
        "{said:?}"
    );
}
