//! Envoy's entry: the SDK's callback traits on our contexts, nothing but forwarding.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use toolgate_engine::exchange::{Exchange, LocalReply};

use crate::deadlines;
use crate::host::{Direction, Envoy, Host};
use crate::root::Plugin;
use crate::stream::{Flow, Stream};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|context_id| Box::new(Root::new(context_id)));
}}

/// One plugin configuration. Envoy makes a new root context for each, in the same VM.
struct Root {
    context_id: u32,
    plugin: Option<Plugin>,
}

impl Root {
    fn new(context_id: u32) -> Root {
        Root {
            context_id,
            plugin: None,
        }
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.plugin = Plugin::configure(&Envoy, self.context_id);
        self.plugin.is_some()
    }

    fn on_tick(&mut self) {
        deadlines::tick(&Envoy, self.context_id);
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(match &self.plugin {
            Some(plugin) => Box::new(Http(plugin.stream(Envoy, context_id))),
            None => Box::new(NoPolicy),
        })
    }
}

struct Http(Rc<RefCell<Stream<Envoy, Exchange>>>);

impl Http {
    /// Envoy runs one callback at a time, so the stream is free; if it were not, nothing may go on.
    fn flow(&self, callback: impl FnOnce(&mut Stream<Envoy, Exchange>) -> Flow) -> Action {
        match self.0.try_borrow_mut().map(|mut stream| callback(&mut stream)) {
            Ok(Flow::Continue) => Action::Continue,
            Ok(Flow::Pause) | Err(_) => Action::Pause,
        }
    }
}

impl Context for Http {
    fn on_grpc_call_response(&mut self, token: u32, status: u32, _size: usize) {
        if let Ok(mut stream) = self.0.try_borrow_mut() {
            stream.rate_limit_answer(token, status);
        }
    }

    /// After the log. Where that never comes or comes later, this is the end.
    fn on_done(&mut self) -> bool {
        if let Ok(mut stream) = self.0.try_borrow_mut() {
            stream.done();
        }
        true
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.flow(|stream| stream.request_headers(end_of_stream))
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.flow(|stream| stream.request_body(size, end_of_stream))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.flow(Stream::request_trailers)
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.flow(|stream| stream.response_headers(end_of_stream))
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.flow(|stream| stream.response_body(size, end_of_stream))
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.flow(Stream::response_trailers)
    }

    fn on_log(&mut self) {
        if let Ok(mut stream) = self.0.try_borrow_mut() {
            stream.done();
        }
    }
}

/// Streams of a root without a policy. Envoy should not make any; if it does, they are refused.
struct NoPolicy;

impl Context for NoPolicy {}

impl HttpContext for NoPolicy {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let reply = LocalReply {
            status: 500,
            headers: Vec::new(),
            body: Vec::new(),
        };
        if Envoy.send_local_reply(&reply, "toolgate_internal").is_err() {
            // Nothing is left to do: the stream stays paused until Envoy's timeouts end it.
            let _ = Envoy.close_stream(Direction::Request);
        }
        Action::Pause
    }

    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        Action::Pause
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        Action::Pause
    }
}
