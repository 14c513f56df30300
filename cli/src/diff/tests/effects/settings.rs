//! What concerns everybody.

use serde_json::{Value, json};

use super::check;
use crate::diff::Effect::{Narrower, Other, Wider};

#[test]
fn changes_for_everybody() {
    check([
        (
            "/mode",
            json!("shadow"),
            Wider,
            Narrower,
            "mode: enforce → shadow",
        ),
        ("/hold", json!("body"), Wider, Narrower, "hold: headers → body"),
        (
            "/unmatched",
            json!("pass"),
            Wider,
            Narrower,
            "unmatched: deny → pass",
        ),
        (
            "/decisionHeader",
            json!(false),
            Other,
            Other,
            "decisionHeader: true → false",
        ),
        (
            "/contextHeaders",
            json!(true),
            Other,
            Wider,
            "contextHeaders: false → true",
        ),
        (
            "/origins",
            json!(["https://a.example", "https://b.example"]),
            Wider,
            Narrower,
            "origins: \"https://b.example\" added",
        ),
        (
            "/origins",
            Value::Null,
            Wider,
            Narrower,
            "Origin is no longer checked",
        ),
        (
            "/identity/headers",
            json!(["x-key", "y-key"]),
            Wider,
            Wider,
            "keys may come in the header \"y-key\"",
        ),
        (
            "/identity/jwt/rolesClaim",
            json!("groups"),
            Wider,
            Wider,
            "the claim \"groups\" adds roles",
        ),
        (
            "/identity/jwt/claim",
            json!("email"),
            Wider,
            Wider,
            "identity.jwt.claim: sub → email",
        ),
        (
            "/identity/anonymous",
            json!("bob"),
            Wider,
            Wider,
            "requests without a credential act as \"bob\"",
        ),
        (
            "/limits/requestBytes",
            json!(2000),
            Wider,
            Narrower,
            "limits.requestBytes: 1000 bytes → 2000 bytes",
        ),
        (
            "/limits/bodyTimeout",
            json!("1m"),
            Wider,
            Narrower,
            "limits.bodyTimeout: 15s → 1m",
        ),
        (
            "/limits/bigIntegers",
            json!(true),
            Wider,
            Narrower,
            "limits.bigIntegers: false → true",
        ),
        (
            "/rateLimitService/onError",
            json!("allow"),
            Wider,
            Narrower,
            "rateLimitService.onError: deny → allow",
        ),
        (
            "/rateLimitService/domain",
            json!("d"),
            Wider,
            Wider,
            "rateLimitService.domain: toolgate → d",
        ),
        (
            "/rateLimitService/timeout",
            json!("1s"),
            Other,
            Other,
            "rateLimitService.timeout: 50ms → 1s",
        ),
        (
            "/sessions/secretEnv",
            json!("OTHER"),
            Wider,
            Wider,
            "sessions.secretEnv: SECRET → OTHER",
        ),
        (
            "/telemetry/arguments",
            json!("off"),
            Other,
            Wider,
            "telemetry.arguments: values → off",
        ),
        (
            "/telemetry/mask",
            json!([{ "path": "/password" }, { "path": "/x" }]),
            Narrower,
            Wider,
            "telemetry.mask: {\"path\":\"/x\"} added",
        ),
        (
            "/telemetry/perKey",
            json!(false),
            Other,
            Other,
            "telemetry.perKey: true → false",
        ),
    ]);
}
