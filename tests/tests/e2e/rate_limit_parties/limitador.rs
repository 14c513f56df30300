//! The `limitador` crate behind the protocol.

use toolgate_tests::rate_limit::{Code, Descriptor, Limitador, RateLimitClient, Request, Response};
use toolgate_tests::run;

use super::{about, ask};

/// Two limits that each count by an entry of the first descriptor. The order of the keys does not matter, nor does what
/// else the descriptor has.
const LIMITS: &str = r#"
- namespace: toolgate
  name: calls of a key
  max_value: 3
  seconds: 3600
  conditions: ['"limit_ab12" in descriptors[0]']
  variables: ['descriptors[0]["limit_ab12"]']
- namespace: toolgate
  name: budget of a team
  max_value: 18446744073709551615
  seconds: 31536000
  conditions: ['"limit_cd34" in descriptors[0]']
  variables: ['descriptors[0]["limit_cd34"]']
- namespace: toolgate
  name: small budget
  max_value: 100
  seconds: 31536000
  conditions: ['"limit_ef56" in descriptors[0]']
  variables: []
"#;

async fn code(client: &RateLimitClient, request: &Request) -> Code {
    let answer: Response = ask(client, request).await.expect("an answer");
    assert!(answer.statuses.is_empty(), "{answer:?}");
    answer.overall_code()
}

#[test]
fn a_limit_of_the_file_counts_for_each_value_of_its_variable() {
    run(async {
        let service = Limitador::start(LIMITS).await;
        let client = RateLimitClient::connect(service.address())
            .await
            .expect("it listens");
        let call = |key, other| about([Descriptor::new([("other", other), ("limit_ab12", key)])]);
        for (key, expected) in [
            ("ada", Code::Ok),
            ("ada", Code::Ok),
            ("grace", Code::Ok),
            ("ada", Code::Ok),
            ("ada", Code::OverLimit),
            ("grace", Code::Ok),
        ] {
            assert_eq!(code(&client, &call(key, "x")).await, expected, "{key}");
        }
        assert_eq!(code(&client, &call("ada", "y")).await, Code::OverLimit);
        assert_eq!(service.asked().len(), 7);
        assert_eq!(service.asked()[2].request, call("grace", "x"));
        // What no limit of the file matches is not limited, and nothing in the answer says so.
        let unknown = about([Descriptor::new([("limit_unknown", "ada")])]);
        assert_eq!(code(&client, &unknown).await, Code::Ok);
        let elsewhere = Request {
            domain: "elsewhere".to_owned(),
            ..call("ada", "x")
        };
        assert_eq!(code(&client, &elsewhere).await, Code::Ok);
        let nowhere = Request {
            domain: String::new(),
            ..call("ada", "x")
        };
        assert_eq!(code(&client, &nowhere).await, Code::Unknown);
    });
}

#[test]
fn one_addend_holds_for_all_limits_and_a_refused_call_counts_for_none() {
    run(async {
        let service = Limitador::start(LIMITS).await;
        let client = RateLimitClient::connect(service.address())
            .await
            .expect("it listens");
        let both = about([Descriptor::new([("limit_ab12", "ada"), ("limit_ef56", "")])]);
        let budget = about([Descriptor::new([("limit_ef56", "")])]);
        assert_eq!(code(&client, &both.clone().hits(2)).await, Code::Ok);
        assert_eq!(
            code(&client, &both.clone().hits(2)).await,
            Code::OverLimit,
            "4 of 3"
        );
        assert_eq!(
            code(&client, &budget.clone().hits(99)).await,
            Code::OverLimit,
            "101 of 100"
        );
        assert_eq!(code(&client, &budget.clone().hits(98)).await, Code::Ok);
        assert_eq!(code(&client, &budget).await, Code::OverLimit);
        // The addend of a descriptor is not looked at.
        let own = about([Descriptor::new([("limit_ab12", "grace")]).hits(4)]);
        assert_eq!(code(&client, &own).await, Code::Ok);
    });
}

#[test]
fn a_limits_file_is_read_as_the_server_reads_it() {
    let fields = "namespace: a, max_value: 1, seconds: 1, conditions: [], variables: []";
    assert_eq!(Limitador::parse(LIMITS).map(|limits| limits.len()), Ok(3));
    for (file, problem) in [
        (
            "- {namespace: a, max_value: 1, seconds: 1, conditions: []}",
            "missing field `variables`",
        ),
        (
            "- {namespace: a, max_value: -1, seconds: 1, conditions: [], variables: []}",
            "-1",
        ),
        (
            "- {namespace: a, max_value: 1, seconds: 1, conditions: ['1 +'], variables: []}",
            "couldn't parse",
        ),
        // The maximum is not part of what a limit is.
        (
            &format!(
                "- {{{fields}}}\n- {{{}}}",
                fields.replace("max_value: 1", "max_value: 2")
            ),
            "limit 1",
        ),
    ] {
        let refused = Limitador::parse(file).expect_err("refused");
        assert!(refused.contains(problem), "{refused}");
    }
}
