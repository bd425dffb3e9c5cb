//! What a client is answered: one HTTP response, after which the connection ends.

/// How a request is judged (RFC 9110, section 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    TooLong,
}

impl Status {
    const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::TooLong => "431 Request Header Fields Too Large",
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Response {
    status: Status,
    content_type: &'static str,
    body: String,
}

impl Response {
    pub(super) const fn ok(content_type: &'static str, body: String) -> Self {
        Self {
            status: Status::Ok,
            content_type,
            body,
        }
    }

    /// A refusal, which says what there is.
    pub(super) fn refusal(status: Status) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: format!("{}: GET /metrics or /snapshot\n", status.line()),
        }
    }

    /// The bytes to send; without the body for HEAD.
    pub(super) fn bytes(&self, with_body: bool) -> Vec<u8> {
        let Self {
            status,
            content_type,
            body,
        } = self;
        let allow = match status {
            Status::MethodNotAllowed => "Allow: GET, HEAD\r\n",
            _ => "",
        };
        let mut bytes = format!(
            "HTTP/1.0 {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}\
             Connection: close\r\n\r\n",
            status.line(),
            body.len()
        )
        .into_bytes();
        if with_body {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_announced_and_may_be_left_out() {
        let response = Response::ok("text/plain", "four".to_owned());
        let text = String::from_utf8(response.bytes(true)).unwrap();
        assert!(text.starts_with("HTTP/1.0 200 OK\r\n"));
        assert!(text.contains("\r\nContent-Length: 4\r\n"));
        assert!(text.ends_with("\r\n\r\nfour"));
        let head = String::from_utf8(response.bytes(false)).unwrap();
        assert_eq!(head, text.trim_end_matches("four"));
    }

    #[test]
    fn a_refusal_says_what_there_is() {
        let refusal = Response::refusal(Status::MethodNotAllowed);
        let text = String::from_utf8(refusal.bytes(true)).unwrap();
        assert!(text.contains("\r\nAllow: GET, HEAD\r\n") && text.contains("/snapshot"));
    }
}
