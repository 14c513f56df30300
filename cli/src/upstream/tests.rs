use super::{Argument, resolve};

fn arguments(texts: &[&str]) -> Vec<Argument> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn groups_endpoints_of_one_name_in_the_policys_order() {
    let found = resolve(
        &arguments(&[
            "a=http://127.0.0.1:1/mcp",
            "b=https://x.example/y",
            "a=http://[::1]:2/mcp",
        ]),
        &["b", "a"],
    )
    .unwrap();
    let shape: Vec<_> = found
        .iter()
        .map(|up| (up.name.as_str(), up.tls, up.endpoints.len()))
        .collect();
    assert_eq!(shape, [("b", true, 1), ("a", false, 2)]);
    assert_eq!(found[0].endpoints[0].authority(), "x.example");
    assert_eq!(found[0].endpoints[0].port, 443);
    assert_eq!(found[1].endpoints[1].address(), "::1");
    assert_eq!(found[1].endpoints[1].authority(), "[::1]:2");
}

#[test]
fn refuses_what_cannot_be_one_cluster() {
    for (second, word) in [
        ("a=https://127.0.0.1:1/mcp", "scheme"),
        ("a=http://127.0.0.1:2/other", "path"),
        ("a=http://127.0.0.1:1/mcp", "twice"),
    ] {
        let failure = resolve(&arguments(&["a=http://127.0.0.1:1/mcp", second]), &["a"]).unwrap_err();
        assert!(failure.to_string().contains(word), "{failure}");
    }
}

#[test]
fn names_the_nearest_server_and_the_missing_upstream() {
    let failure = resolve(&arguments(&["dcos=http://127.0.0.1:1/mcp"]), &["docs"]).unwrap_err();
    assert!(
        failure.to_string().contains("did you mean \"docs\"?"),
        "{failure}"
    );
    let failure = resolve(&arguments(&["a=http://127.0.0.1:1/mcp"]), &["a", "b"]).unwrap_err();
    assert!(
        failure.to_string().contains("add --upstream b=http://"),
        "{failure}"
    );
}

#[test]
fn refuses_urls_whose_parts_would_be_dropped() {
    for text in [
        "a",
        "=http://x/",
        "a=ftp://x/",
        "a=http://u:p@x/",
        "a=http://x/?token=1",
        "a=http://x/#f",
        "a=x",
    ] {
        assert!(text.parse::<Argument>().is_err(), "{text}");
    }
}
