//! Child processes that never outlive the test run.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A running program in a process group of its own, its output in a log file.
///
/// Dropping it kills the group. If the test process dies without dropping it, the group dies too: a companion in the
/// group waits for the end of a pipe that only the test process holds.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Program {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
}

impl Program {
    /// The program at `path`, without arguments.
    pub fn new(path: impl AsRef<OsStr>) -> Self {
        Self {
            arguments: vec![path.as_ref().to_owned()],
            environment: Vec::new(),
            directory: None,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = S>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }
}

/// `$$` is the group's id, because the shell leads its own group; `exec` gives that place to the program.
const GUARD: &str = r#"(cat >/dev/null; kill -KILL -- -$$) <&0 & exec "$@" </dev/null"#;

impl Process {
    /// Starts `program` with standard output and error appended to `log`.
    pub fn start(program: &Program, log: &Path) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new("bash");
        command
            .args(["-c", GUARD, "guard"])
            .args(&program.arguments)
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0);
        if let Some(directory) = &program.directory {
            command.current_dir(directory);
        }
        let child = spawn_on_lasting_thread(command)?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// The program's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status if the program has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// What the program has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Asks the program to end, and kills it when it has not after five seconds.
    pub fn terminate(&mut self) {
        self.ask_to_end();
        self.wait(Duration::from_secs(5));
        self.kill();
    }

    /// Asks the program, and only it, to end.
    pub fn ask_to_end(&self) {
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits for at most `limit` until the program ends; its exit status if it has.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        while self.exited().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        self.exited()
    }

    fn kill(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Envoy asks the kernel to be signalled when its parent dies (`PR_SET_PDEATHSIG`), and to the kernel the parent is the
/// *thread* that forked: an Envoy started by one test's thread and shared with others would end with that one test.
fn spawn_on_lasting_thread(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, outcome) = mpsc::channel();
    spawner.send((command, answer)).map_err(io::Error::other)?;
    outcome.recv().map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_a_process_ends_its_whole_group() {
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("log");
        let script = "sleep 60 & echo $!; wait";
        let process = Process::start(&Program::new("bash").args(["-c", script]), &log).expect("bash starts");
        let deadline = Instant::now() + crate::SOON;
        while process.log().trim().is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        let grandchild = process.log().trim().parse::<i32>().expect("a process id");
        let grandchild = Pid::from_raw(grandchild).expect("not zero");
        assert!(is_running(grandchild));
        drop(process);
        while is_running(grandchild) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!is_running(grandchild));
    }

    /// An orphan that nobody has waited for yet is a zombie: it still has an id, but it no longer runs.
    fn is_running(pid: Pid) -> bool {
        fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).is_ok_and(|stat| {
            !stat
                .rsplit(')')
                .next()
                .is_some_and(|rest| rest.trim_start().starts_with('Z'))
        })
    }
}
