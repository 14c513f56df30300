//! Tasks on the way back: their ids are tagged for the caller, and what is about somebody else's goes.

use super::{Asked, Charged, Engine, Exchange, Forwarded, HeaderEdit, HeaderLines};
use crate::binding::remembered;
use crate::binding::tasks::{self, Place, Rewritten, Tagging};
use crate::identity::Caller;
use crate::json::Value;
use crate::mcp::headers::{Single, decode_mirror, encode_mirror, single};
use crate::outcome::Outcome;
use crate::policy::ServerId;
use crate::quota::{self, Receipt};
use crate::store::Store;

/// The edit that gives the server its own id in `Mcp-Name`, if a request is about a task of the caller. Any other id stays,
/// for the body to be refused.
/// <https://modelcontextprotocol.io/seps/2663-tasks-extension>
pub(super) fn open_mirror(
    engine: &Engine,
    server: ServerId,
    caller: &Caller,
    lines: &HeaderLines<'_>,
) -> Option<HeaderEdit> {
    let (Single::One(method), Single::One(name)) = (single(lines, "mcp-method"), single(lines, "mcp-name"))
    else {
        return None;
    };
    let presented = decode_mirror(name).filter(|_| method.starts_with(b"tasks/"))?;
    let open = engine
        .secrets
        .open_task(&engine.owner(server, caller), &presented)?;
    let id = encode_mirror(open.id).as_bytes().to_vec();
    Some(HeaderEdit::Set("mcp-name".to_owned(), id))
}

/// Tags the task ids of a server's message.
pub(super) fn tag(
    engine: &Engine,
    forwarded: &Forwarded,
    message: Value<'_>,
    store: &dyn Store,
) -> Rewritten {
    let owner = engine.owner(forwarded.server, &forwarded.caller);
    // Those that the request named are known wherever they were made.
    let named = |id: &str| {
        forwarded
            .tasks
            .iter()
            .find(|task| task.id == id)
            .map(|task| task.tool.clone())
    };
    // What cannot be looked up is as good as forgotten.
    let remembered = |id: &str| remembered::tool_of(&owner, id, store).ok().flatten();
    tasks::rewrite(message, &mut |place, id| {
        let tool = match place {
            Place::Created => {
                let called = forwarded
                    .tool
                    .as_deref()
                    .filter(|_| forwarded.asked == Asked::Call);
                let tool = match called {
                    Some(tool) => tool.to_owned(),
                    None => remembered(id).unwrap_or_default(),
                };
                // One that is not remembered still opens, but is missing from lists.
                let _ = remembered::remember(&owner, id, &tool, store);
                Some(tool)
            }
            Place::Listed => remembered(id),
            Place::State | Place::Notified | Place::Subscribed | Place::Related => {
                named(id).or_else(|| remembered(id))
            }
        };
        match (tool, place) {
            (Some(tool), _) => Tagging::Replace(engine.secrets.tag_task(&owner, &tool, id)),
            // It may be somebody else's.
            (None, Place::Listed | Place::Notified) => Tagging::Drop,
            (None, _) => Tagging::Keep,
        }
    })
}

impl Exchange {
    /// What the result of a task costs is charged when it is fetched; the call itself was charged when the task was made.
    pub(super) fn result_of_task(&self, forwarded: &Forwarded) -> Option<Box<Charged>> {
        let engine = &self.engine;
        let bill = engine.book.bill(&quota::Call {
            key: forwarded.caller.key,
            subject: forwarded.caller.subject.as_deref(),
            server: engine.policy.server(forwarded.server),
            tool: forwarded.tool.as_deref()?,
        })?;
        let costs = bill.lines.iter().any(|line| line.budget) && bill.result_cost(u64::MAX) > 0;
        costs.then(|| {
            Box::new(Charged {
                bill,
                receipt: Receipt::default(),
            })
        })
    }
}

/// Whether an answer about a task is the result of its call.
pub(super) fn is_final(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ok | Outcome::ToolError | Outcome::RpcError(_))
}
