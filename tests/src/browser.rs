//! A real browser without a window: what a page becomes in it, and what it looks like.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Names of the browser, that without a window first.
const NAMES: [&str; 4] = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
];
/// How long it may take to show a page.
const LIMIT: Duration = Duration::from_secs(120);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(20);

/// The browser of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Browser {
    name: &'static str,
}

/// What a page became.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its elements, after everything in it has had its effect.
    pub dom: String,
    /// What the browser's console had to say, a line each.
    pub console: Vec<String>,
}

/// What a page looks like.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How many different colours there are.
    pub colours: usize,
    /// How many rows of pixels are not of one colour.
    pub drawn_rows: usize,
    /// The colour of its first pixel: red, green, blue.
    pub background: [u8; 3],
}

impl Browser {
    /// The one that is installed.
    ///
    /// # Panics
    ///
    /// If there is none: what a page becomes is then not tested.
    #[must_use]
    pub fn installed() -> Self {
        let works = |name: &&&str| {
            let mut version = Command::new(**name);
            version.arg("--version").stderr(Stdio::null());
            version.output().is_ok_and(|output| output.status.success())
        };
        match NAMES.iter().find(works) {
            Some(name) => Self { name },
            None => panic!(
                "not run: install chromium: `apt-get install chromium-headless-shell`, or any of {}",
                NAMES.join(", ")
            ),
        }
    }

    /// Opens a page from its file.
    ///
    /// # Panics
    ///
    /// If the browser fails.
    #[must_use]
    pub fn open(self, page: &Path) -> Shown {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Timers run to their end at once.
        let words = ["--virtual-time-budget=5000", "--dump-dom"];
        self.run(folder.path(), &words, page);
        let read = |name| fs::read(folder.path().join(name)).expect("the browser's words");
        let errors = String::from_utf8_lossy(&read("errors")).into_owned();
        let console = errors.lines().filter(|line| line.contains("CONSOLE"));
        Shown {
            dom: String::from_utf8_lossy(&read("output")).into_owned(),
            console: console.map(str::to_owned).collect(),
        }
    }

    /// A picture of a page in a window of this size, by the preference of the user for dark.
    ///
    /// # Panics
    ///
    /// If the browser fails.
    #[must_use]
    pub fn picture(self, page: &Path, width: u32, height: u32, dark: bool) -> Picture {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("picture.png");
        let words = [
            format!("--window-size={width},{height}"),
            format!("--screenshot={}", file.display()),
            format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)),
            "--hide-scrollbars".to_owned(),
        ];
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        self.run(folder.path(), &words, page);
        Picture::read(&file)
    }

    fn run(self, folder: &Path, words: &[&str], page: &Path) {
        let file = |name| File::create(folder.join(name)).expect("a file in a temporary folder");
        let mut command = Command::new(self.name);
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu"])
            .arg("--enable-logging=stderr")
            .arg(format!("--user-data-dir={}", folder.join("user").display()))
            .args(words)
            .arg(format!("file://{}", page.display()))
            .stdin(Stdio::null())
            .stdout(file("output"))
            .stderr(file("errors"));
        let mut browser = command.spawn().expect("the browser starts");
        let started = Instant::now();
        loop {
            match browser.try_wait().expect("the browser can be waited for") {
                Some(status) if status.success() => return,
                Some(status) => panic!("{} ended with {status}", self.name),
                None if started.elapsed() < LIMIT => thread::sleep(LOOK),
                None => {
                    let _ = browser.kill();
                    let _ = browser.wait();
                    panic!("{} took longer than {LIMIT:?}", self.name);
                }
            }
        }
    }
}

impl Picture {
    fn read(path: &Path) -> Self {
        let file = File::open(path).expect("the browser wrote a picture");
        let mut decoder = png::Decoder::new(std::io::BufReader::new(file));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().expect("a PNG");
        let size = reader.output_buffer_size().expect("it fits into memory");
        let mut bytes = vec![0; size];
        let frame = reader.next_frame(&mut bytes).expect("a whole picture");
        let samples = frame.color_type.samples();
        let pixel = |pixel: &[u8]| [pixel[0], pixel[1 % samples], pixel[2 % samples]];
        let mut colours = HashSet::new();
        let mut drawn_rows = 0;
        for row in bytes.chunks(frame.line_size).take(frame.height as usize) {
            let first = pixel(&row[..samples]);
            let pixels = row.chunks_exact(samples).map(pixel);
            drawn_rows += usize::from(pixels.clone().any(|pixel| pixel != first));
            colours.extend(pixels);
        }
        Self {
            width: frame.width,
            height: frame.height,
            colours: colours.len(),
            drawn_rows,
            background: pixel(&bytes[..samples]),
        }
    }
}
