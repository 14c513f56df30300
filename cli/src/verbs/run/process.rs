//! Envoy as a child: started, watched, ended.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::decisions;
use crate::failure::{Failure, Outcome};

/// How long Envoy may take from a signal to its end.
const GRACE: Duration = Duration::from_secs(5);
/// How often to look whether Envoy is ready, or still there.
const TICK: Duration = Duration::from_millis(50);
/// Lines of Envoy's log that are shown when it ends by itself.
const LAST_LINES: usize = 20;

/// What to start.
pub(super) struct Command<'a> {
    pub(super) program: &'a Path,
    pub(super) bootstrap: &'a Path,
    pub(super) concurrency: u16,
    pub(super) admin: SocketAddr,
}

enum Event {
    /// A line of Envoy's standard output: an access log record.
    Record(String),
    /// A line of Envoy's own log.
    Log(String),
    /// Somebody wants us to end.
    Stop,
}

/// Runs Envoy until it or the user ends; calls `ready` once it accepts requests.
pub(super) fn run(command: &Command<'_>, ready: impl FnOnce() -> std::io::Result<()>) -> Outcome {
    // A slow terminal slows the reading of the log, not the requests.
    let (sender, events) = sync_channel(1024);
    // Before Envoy starts, so that an early Ctrl-C does not leave it behind.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let stop = sender.clone();
    thread::spawn(move || signals.forever().try_for_each(|_| stop.send(Event::Stop)));
    // Envoy asks for SIGTERM when the thread that started it ends: this one, which lasts.
    let mut child = Guard(spawn(command)?);
    listen(&mut child.0, &sender);
    watch(&mut child.0, command.admin, &events, ready)
}

/// Ends Envoy on every way out.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

fn spawn(command: &Command<'_>) -> Outcome<Child> {
    std::process::Command::new(command.program)
        .arg("-c")
        .arg(command.bootstrap)
        .args([
            "--log-level",
            "warning",
            "--log-format",
            "%l %n: %v",
            "--disable-hot-restart",
        ])
        // The default of 10 s would show decisions long after they fell.
        .args([
            "--file-flush-interval-msec",
            "100",
            "--concurrency",
            &command.concurrency.to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::no(format!("cannot start {}: {error}", command.program.display())))
}

/// One thread per pipe. They end with the pipes.
fn listen(child: &mut Child, sender: &SyncSender<Event>) {
    if let Some(pipe) = child.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || forward(pipe, &sender, Event::Record));
    }
    if let Some(pipe) = child.stderr.take() {
        let sender = sender.clone();
        thread::spawn(move || forward(pipe, &sender, Event::Log));
    }
}

fn forward(pipe: impl Read, sender: &SyncSender<Event>, event: fn(String) -> Event) {
    for line in BufReader::new(pipe).split(b'\n') {
        let Ok(line) = line else { return };
        if sender
            .send(event(String::from_utf8_lossy(&line).into_owned()))
            .is_err()
        {
            return;
        }
    }
}

fn watch(
    child: &mut Child,
    admin: SocketAddr,
    events: &Receiver<Event>,
    ready: impl FnOnce() -> std::io::Result<()>,
) -> Outcome {
    let mut ready = Some(ready);
    let mut last = VecDeque::new();
    loop {
        match events.recv_timeout(TICK) {
            Ok(Event::Stop) => return Ok(0),
            Ok(event) => show(event, &mut last)?,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                if let Some(status) = child.try_wait()? {
                    return Err(died(status, events, &mut last));
                }
                if let Some(announce) = ready.take_if(|_| is_ready(admin)) {
                    announce()?;
                }
            }
        }
    }
}

fn show(event: Event, last: &mut VecDeque<String>) -> Outcome<()> {
    match event {
        Event::Stop => {}
        Event::Record(record) => {
            if let Some(line) = decisions::line(&record) {
                writeln!(anstream::stdout().lock(), "{line}")?;
            }
        }
        Event::Log(line) => {
            anstream::eprintln!("envoy: {line}");
            last.push_back(line);
            if last.len() > LAST_LINES {
                last.pop_front();
            }
        }
    }
    Ok(())
}

/// Envoy ended by itself. What it last said is on the screen already; the sentence says what to look for.
fn died(status: ExitStatus, events: &Receiver<Event>, last: &mut VecDeque<String>) -> Failure {
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        match events.recv_timeout(TICK) {
            Ok(event) => {
                if show(event, last).is_err() {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    let said = |words: &str| last.iter().any(|line| line.contains(words));
    let fix = if said("Address already in use") || said("cannot bind") {
        Some("another program uses the port; choose one with --listen".to_owned())
    } else if said("wasm") {
        Some("the filter did not start; its reason is in the lines above".to_owned())
    } else {
        None
    };
    Failure::no(format!("Envoy ended ({status})")).maybe_fix(fix)
}

/// Envoy answers 200 here when its listeners take connections.
/// <https://www.envoyproxy.io/docs/envoy/v1.36.0/operations/admin#get--ready>
fn is_ready(admin: SocketAddr) -> bool {
    let asked = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&admin, TICK)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut status = [0u8; 12];
        stream.read_exact(&mut status)?;
        Ok(status == *b"HTTP/1.1 200")
    };
    asked().unwrap_or(false)
}

/// First politely, then not.
fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, Signal::TERM);
    }
    let until = Instant::now() + GRACE;
    while Instant::now() < until {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(TICK);
    }
    let _ = child.kill();
    let _ = child.wait();
}
