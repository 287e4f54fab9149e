use super::frame::{self, Frame, Kind};
use super::{Answer, Call, MOST_BODY, MOST_FIELDS, hpack};

fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    fields.iter().for_each(|(name, value)| hpack::push(&mut block, name, value));
    block
}

fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Frame {
    Frame { kind: Some(kind), flags, stream, payload: payload.to_vec() }
}

fn begun() -> Answer {
    let mut answer = Answer::default();
    let back = answer.take(frame(Kind::Settings, 0, 0, &[])).expect("settings");
    assert_eq!(back, Some(frame::write(Kind::Settings, frame::ACK, 0, &[])));
    answer
}

fn refused(answer: &mut Answer, frame: Frame) -> String {
    answer.take(frame).expect_err("it is refused")
}

#[test]
fn an_answer_is_read_frame_by_frame() {
    let mut answer = begun();
    assert_eq!(answer.take(frame(Kind::Settings, frame::ACK, 0, &[])), Ok(None));
    let ping = answer.take(frame(Kind::Ping, 0, 0, &[7; 8]));
    assert_eq!(ping, Ok(Some(frame::write(Kind::Ping, frame::ACK, 0, &[7; 8]))));
    let head = fields(&[(":status", "200"), ("content-type", "application/grpc")]);
    // Padding, a priority, and a block in three parts.
    let first = [&[2, 0, 0, 0, 3, 16][..], &head[..5], &[0, 0]].concat();
    assert_eq!(answer.take(frame(Kind::Headers, 0x28, 1, &first)), Ok(None));
    assert_eq!(answer.take(frame(Kind::Continuation, 0, 1, &head[5..9])), Ok(None));
    assert_eq!(answer.take(frame(Kind::Continuation, frame::END_HEADERS, 1, &head[9..])), Ok(None));
    assert_eq!(answer.take(frame(Kind::Data, 0x8, 1, &[3, b'a', b'b', 0, 0, 0])), Ok(None));
    assert_eq!(answer.take(Frame { kind: None, flags: 0xff, stream: 9, payload: vec![1] }), Ok(None));
    assert_eq!(answer.take(frame(Kind::Data, 0, 1, b"c")), Ok(None));
    // It goes away, and ends before what it has begun.
    assert_eq!(answer.take(frame(Kind::GoAway, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])), Ok(None));
    assert!(!answer.is_over);
    let trailers = fields(&[("grpc-status", "5"), ("grpc-message", "no%20such")]);
    let last = frame::END_HEADERS | frame::END_STREAM;
    assert_eq!(answer.take(frame(Kind::Headers, last, 1, &trailers)), Ok(None));
    assert!(answer.is_over);
    let reply = answer.reply;
    assert_eq!((reply.status, reply.code, reply.body), (Some(200), Some(5), b"abc".to_vec()));
    assert_eq!(reply.message, b"no%20such");
}

#[test]
fn what_is_no_answer_is_refused_in_words() {
    let long = vec![0; MOST_FIELDS + 1];
    let rows: [(Frame, &str); 10] = [
        (frame(Kind::Headers, frame::END_HEADERS, 3, &[]), "something that was not asked for"),
        (frame(Kind::PushPromise, 0, 1, &[]), "something that was not asked for"),
        (frame(Kind::Continuation, 0, 1, &[]), "something that was not asked for"),
        (frame(Kind::Headers, frame::END_HEADERS, 1, &[0x80]), "fields that cannot be read"),
        (frame(Kind::Headers, 0x8, 1, &[9, 0]), "a frame shorter than it says"),
        (frame(Kind::Headers, 0x20, 1, &[0; 4]), "a frame shorter than it says"),
        (frame(Kind::Headers, 0, 1, &long), "the head of the answer is longer than 16 KiB"),
        (frame(Kind::Data, 0, 1, &vec![0; MOST_BODY + 1]), "the answer is longer than 4 KiB"),
        (frame(Kind::Reset, 0, 1, &[0, 0, 0, 7]), "the call was reset: REFUSED_STREAM"),
        (
            frame(Kind::GoAway, 0, 0, b"\0\0\0\0\0\0\0\x0btoo_many_pings"),
            "it went away: ENHANCE_YOUR_CALM: too_many_pings",
        ),
    ];
    for (frame, expected) in rows {
        let why = refused(&mut begun(), frame);
        assert!(why.ends_with(expected), "{why}");
    }
    let why = refused(&mut Answer::default(), frame(Kind::Ping, 0, 0, &[0; 8]));
    assert!(why.contains("does not speak HTTP/2"), "{why}");
    let mut answer = begun();
    assert_eq!(answer.take(frame(Kind::Headers, 0, 1, &[])), Ok(None));
    assert!(refused(&mut answer, frame(Kind::Data, 0, 1, &[])).contains("break off"));
    assert_eq!(frame(Kind::Reset, 0, 1, &[0, 0, 1, 0]).error_at(0), "code 256");
}

#[test]
fn a_call_is_the_preface_settings_a_head_and_a_body() {
    let call = Call { authority: "127.0.0.1:1", path: "/a/b", fields: &[("te", "trailers")], body: b"x" };
    let bytes = call.bytes();
    let rest = bytes.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("the preface");
    assert_eq!(rest[..15], [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    assert!(rest.ends_with(&[0, 0, 1, 0, 1, 0, 0, 0, 1, b'x']));
    assert_eq!(rest[15 + 3..15 + 9], [1, 4, 0, 0, 0, 1]);
}

// Whatever comes is taken or refused, at once and in bounded memory: nothing here panics.
#[test]
fn noise_is_taken_or_refused() {
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let kinds = [Kind::Data, Kind::Headers, Kind::Continuation, Kind::Settings, Kind::Ping, Kind::GoAway, Kind::Reset];
    let mut over = 0;
    for _ in 0..20_000 {
        let mut answer = begun();
        for _ in 0..8 {
            let kind = kinds[random() % kinds.len()];
            let payload: Vec<u8> = (0..random() % 40).map(|_| random() as u8).collect();
            if answer.take(frame(kind, random() as u8, (random() % 3) as u32, &payload)).is_err() {
                break;
            }
            assert!(answer.reply.body.len() <= MOST_BODY);
        }
        over += usize::from(answer.is_over);
    }
    assert!(over > 0, "some of it is an answer");
}
