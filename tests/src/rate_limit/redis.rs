//! A real Redis as a child process.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::process::{Process, Program};
use crate::{paths, ports};

/// What is left of the data when Redis ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// Nothing.
    Memory,
    /// Everything that was acknowledged: each write is on disk before its answer.
    EveryWrite,
}

/// A Redis on a loopback port. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Redis {
    address: SocketAddr,
    durability: Durability,
    directory: TempDir,
    process: Option<Process>,
}

impl Redis {
    /// Starts a Redis on a free port and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not; the message has its log.
    pub async fn start(durability: Durability) -> Self {
        let mut refusals = String::new();
        for _ in 0..3 {
            let mut redis = Self {
                address: ports::free(),
                durability,
                directory: tempfile::tempdir().expect("a temporary directory"),
                process: None,
            };
            match redis.attempt().await {
                Ok(()) => return redis,
                Err(log) if log.contains("Address already in use") => refusals = log,
                Err(log) => panic!("Redis does not answer:\n{log}"),
            }
        }
        panic!("Redis found no free port:\n{refusals}");
    }

    /// Kills it, without a chance to write anything more.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port, after killing it if it still runs, with the data that its [`Durability`] left.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub async fn restart(&mut self) {
        self.kill();
        if let Err(log) = self.attempt().await {
            panic!("Redis does not answer again:\n{log}");
        }
    }

    /// Stops it where it is: connections stay open and are accepted, but nothing is answered.
    pub fn suspend(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`Self::suspend`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Sends one command and returns its answer, the elements of an array one after the other; errors begin with `-`.
    pub async fn command(&self, words: &[&str]) -> io::Result<Vec<String>> {
        let mut stream = BufReader::new(TcpStream::connect(self.address).await?);
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            let _ = write!(command, "${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(command.as_bytes()).await?;
        let mut answer = Vec::new();
        read(&mut stream, &mut answer).await?;
        Ok(answer)
    }

    async fn attempt(&mut self) -> Result<(), String> {
        let program = paths::installed("redis").join("redis-server");
        assert!(
            program.exists(),
            "{} is missing: run scripts/setup.sh redis",
            program.display()
        );
        let append = match self.durability {
            Durability::Memory => "no",
            Durability::EveryWrite => "yes",
        };
        let program = Program::new(program)
            .args(["--bind", "127.0.0.1", "--port", &self.address.port().to_string()])
            .args(["--save", "", "--appendonly", append, "--appendfsync", "always"])
            .arg("--dir")
            .arg(self.directory.path());
        let process = Process::start(&program, &self.log_file()).expect("Redis starts");
        let process = self.process.insert(process);
        let deadline = Instant::now() + crate::SOON;
        while process.exited().is_none() && Instant::now() < deadline {
            if answers(self.address).await {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(process.log())
    }

    fn log_file(&self) -> std::path::PathBuf {
        self.directory.path().join("redis.log")
    }

    fn signal(&self, signal: Signal) {
        let id = self.process.as_ref().map(Process::id);
        if let Some(pid) = id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

async fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return false;
    };
    let mut answer = [0; 7];
    stream.write_all(b"PING\r\n").await.is_ok()
        && stream.read_exact(&mut answer).await.is_ok()
        && &answer == b"+PONG\r\n"
}

/// Reads one answer of [RESP](https://redis.io/docs/latest/develop/reference/protocol-spec/), arrays included.
fn read<'a>(
    stream: &'a mut BufReader<TcpStream>,
    into: &'a mut Vec<String>,
) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>> {
    Box::pin(async move {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end();
        let length = |digits: &str| digits.parse::<usize>().ok();
        match line.split_at_checked(1) {
            Some(("*", digits)) => {
                for _ in 0..length(digits).unwrap_or_default() {
                    read(stream, into).await?;
                }
            }
            // A length of -1 is no value.
            Some(("$", digits)) => {
                if let Some(length) = length(digits) {
                    let mut value = vec![0; length + 2];
                    stream.read_exact(&mut value).await?;
                    into.push(String::from_utf8_lossy(value.trim_ascii_end()).into_owned());
                }
            }
            Some(("+" | ":", value)) => into.push(value.to_owned()),
            _ => into.push(line.to_owned()),
        }
        Ok(())
    })
}
