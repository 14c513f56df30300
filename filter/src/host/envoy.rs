//! The proxy-wasm ABI, as Envoy implements it.
//!
//! This file alone is `unsafe`. Two rules make it sound, both from the [ABI 0.2.1][abi]:
//!
//! * What the host returns, it has allocated by calling the module's `proxy_on_memory_allocate`. The SDK exports that as
//!   the memory of a `Box<[u8]>` of exactly the size asked for, so a box over the same bytes owns them and frees them.
//!   A null pointer means that nothing was allocated.
//! * What we pass, the host copies before the call returns.
//!
//! [abi]: https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1
#![allow(unsafe_code)]

use std::ptr::{null, null_mut, slice_from_raw_parts_mut};
use std::time::Duration;

use toolgate_engine::exchange::LocalReply;
use toolgate_engine::telemetry::Kind;

use super::{Direction, GrpcCall, Host, HostResult, HostStatus, Level, grpc, pairs};

/// The Envoy that runs this module.
#[derive(Clone, Copy, Debug)]
pub struct Envoy;

impl Host for Envoy {
    fn log(&self, level: Level, message: &str) {
        // SAFETY: pointer and length are those of a live `str`. A log line that the host refuses is lost.
        let _ = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
    }

    fn header_map(&self, direction: Direction) -> HostResult<Vec<u8>> {
        // SAFETY: the host writes one pointer and one length to live locals.
        owned(|data, size| unsafe { proxy_get_header_map_pairs(header_map(direction), data, size) })
    }

    fn set_header(&self, direction: Direction, name: &str, value: &[u8]) -> HostResult<()> {
        // SAFETY: pointers and lengths are those of live slices.
        check(unsafe {
            proxy_replace_header_map_value(
                header_map(direction),
                name.as_ptr(),
                name.len(),
                value.as_ptr(),
                value.len(),
            )
        })
    }

    fn remove_header(&self, direction: Direction, name: &str) -> HostResult<()> {
        // SAFETY: pointer and length are those of a live `str`.
        check(unsafe { proxy_remove_header_map_value(header_map(direction), name.as_ptr(), name.len()) })
    }

    fn body(&self, direction: Direction) -> HostResult<Vec<u8>> {
        buffer(body_buffer(direction))
    }

    fn replace_body(&self, direction: Direction, length: usize, bytes: &[u8]) -> HostResult<()> {
        // SAFETY: pointer and length are those of a live slice.
        check(unsafe {
            proxy_set_buffer_bytes(body_buffer(direction), 0, length, bytes.as_ptr(), bytes.len())
        })
    }

    fn send_local_reply(&self, reply: &LocalReply, details: &str) -> HostResult<()> {
        let headers = pairs::write(&reply.headers).ok_or(HostStatus::INTERNAL_FAILURE)?;
        // SAFETY: pointers and lengths are those of live slices.
        check(unsafe {
            proxy_send_local_response(
                u32::from(reply.status),
                details.as_ptr(),
                details.len(),
                if reply.body.is_empty() {
                    null()
                } else {
                    reply.body.as_ptr()
                },
                reply.body.len(),
                headers.as_ptr(),
                headers.len(),
                NO_GRPC_STATUS,
            )
        })
    }

    fn resume(&self, direction: Direction) -> HostResult<()> {
        // SAFETY: no pointers.
        check(unsafe { proxy_continue_stream(stream(direction)) })
    }

    fn close_stream(&self, direction: Direction) -> HostResult<()> {
        // SAFETY: no pointers.
        check(unsafe { proxy_close_stream(stream(direction)) })
    }

    fn property(&self, path: &[&str]) -> HostResult<Option<Vec<u8>>> {
        let path = path.join("\0");
        // SAFETY: the path is a live `String`; the host writes one pointer and one length to live locals.
        found(owned(|data, size| unsafe {
            proxy_get_property(path.as_ptr(), path.len(), data, size)
        }))
    }

    fn set_property(&self, name: &str, value: &[u8]) -> HostResult<()> {
        // SAFETY: pointers and lengths are those of live slices.
        check(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
    }

    fn shared_data(&self, key: &str) -> HostResult<Option<(Vec<u8>, u32)>> {
        let mut cas = 0_u32;
        // SAFETY: the key is a live `str`; the host writes to live locals.
        let value = found(owned(|data, size| unsafe {
            proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas)
        }))?;
        Ok(value.map(|value| (value, cas)))
    }

    fn set_shared_data(&self, key: &str, value: &[u8], cas: u32) -> HostResult<()> {
        // SAFETY: pointers and lengths are those of live slices.
        check(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) })
    }

    /// Through the SDK: only it can tell its dispatcher which context waits for the token. It panics on statuses other
    /// than `ParseFailure` and `InternalFailure`. Envoy has one more, `BadArgument`, for a target that no client can be
    /// made for; that depends on the target's options, and there are none here. A cluster that does not exist is an
    /// `InternalFailure`.
    fn grpc_call(&self, call: &GrpcCall<'_>) -> HostResult<u32> {
        let target = grpc::target(call.cluster).ok_or(HostStatus::BAD_ARGUMENT)?;
        // No timeout at all is what 0 means.
        let timeout = call.timeout.max(Duration::from_millis(1));
        proxy_wasm::hostcalls::dispatch_grpc_call(
            &target,
            call.service,
            call.method,
            Vec::new(),
            Some(call.message),
            timeout,
        )
        .map_err(|status| HostStatus(status as u32))
    }

    fn grpc_answer(&self) -> HostResult<Vec<u8>> {
        buffer(BUFFER_GRPC_RECEIVE)
    }

    fn define_metric(&self, kind: Kind, name: &str) -> HostResult<u32> {
        let kind = match kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 2,
        };
        let mut id = 0_u32;
        // SAFETY: the name is a live `str`; the host writes to a live local.
        check(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) })?;
        Ok(id)
    }

    fn increment_metric(&self, id: u32, by: u64) -> HostResult<()> {
        // SAFETY: no pointers.
        check(unsafe { proxy_increment_metric(id, i64::try_from(by).unwrap_or(i64::MAX)) })
    }

    fn record_metric(&self, id: u32, value: u64) -> HostResult<()> {
        // SAFETY: no pointers.
        check(unsafe { proxy_record_metric(id, value) })
    }

    fn configuration(&self) -> HostResult<Vec<u8>> {
        buffer(BUFFER_PLUGIN_CONFIGURATION)
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn random(&self, bytes: &mut [u8]) -> HostResult<()> {
        // SAFETY: the host writes as many bytes as the live slice has.
        let errno = unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
        if errno == WASI_SUCCESS {
            Ok(())
        } else {
            Err(HostStatus::INTERNAL_FAILURE)
        }
    }

    fn set_tick_period(&self, period: Duration) -> HostResult<()> {
        let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX).max(1);
        // SAFETY: no pointers.
        check(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
    }

    fn set_effective_context(&self, context_id: u32) -> HostResult<()> {
        // SAFETY: no pointers.
        check(unsafe { proxy_set_effective_context(context_id) })
    }

    fn wall_clock(&self) -> HostResult<u64> {
        let mut nanoseconds = 0_u64;
        // SAFETY: the host writes to a live local.
        check(unsafe { proxy_get_current_time_nanoseconds(&raw mut nanoseconds) })?;
        Ok(nanoseconds)
    }

    fn monotonic_clock(&self) -> HostResult<u64> {
        let mut nanoseconds = 0_u64;
        // SAFETY: the host writes to a live local.
        check(unsafe { clock_time_get(WASI_CLOCK_MONOTONIC, 0, &raw mut nanoseconds) })?;
        Ok(nanoseconds)
    }
}

fn buffer(kind: u32) -> HostResult<Vec<u8>> {
    // SAFETY: the host writes one pointer and one length to live locals. It clamps the length to what there is.
    let bytes = owned(|data, size| unsafe { proxy_get_buffer_bytes(kind, 0, usize::MAX, data, size) });
    Ok(found(bytes)?.unwrap_or_default())
}

/// Takes over what the host allocated during `call`.
fn owned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> HostResult<Vec<u8>> {
    let mut data: *mut u8 = null_mut();
    let mut size = 0_usize;
    check(call(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: see the head of this file: `data` is a `Box<[u8]>` of `size` bytes that nobody else owns.
    Ok(unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) }.into_vec())
}

fn found<T>(result: HostResult<T>) -> HostResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(HostStatus::NOT_FOUND) => Ok(None),
        Err(status) => Err(status),
    }
}

fn check(status: u32) -> HostResult<()> {
    if status == 0 {
        Ok(())
    } else {
        Err(HostStatus(status))
    }
}

fn header_map(direction: Direction) -> u32 {
    match direction {
        Direction::Request => 0,
        Direction::Response => 2,
    }
}

fn body_buffer(direction: Direction) -> u32 {
    match direction {
        Direction::Request => 0,
        Direction::Response => 1,
    }
}

fn stream(direction: Direction) -> u32 {
    match direction {
        Direction::Request => 0,
        Direction::Response => 1,
    }
}

const BUFFER_GRPC_RECEIVE: u32 = 5;
const BUFFER_PLUGIN_CONFIGURATION: u32 = 7;
const NO_GRPC_STATUS: i32 = -1;
const WASI_CLOCK_MONOTONIC: u32 = 1;
/// WASI has statuses of its own. <https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#-errno-variant>
const WASI_SUCCESS: u32 = 0;

// Pointers and sizes are 32 bits wide on this target, statuses are `u32`.
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, message_size: usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(buffer: u32, start: usize, length: usize, data: *const u8, size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context_id: u32) -> u32;
    fn proxy_get_current_time_nanoseconds(nanoseconds: *mut u64) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, nanoseconds: *mut u64) -> u32;
    fn random_get(buffer: *mut u8, size: usize) -> u32;
}
