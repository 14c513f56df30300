//! One HTTP exchange, from the request's head to the end of the response.

mod step;

pub use step::{
    BodyStep, ChunkStep, HeadStep, HeaderEdit, HeaderLines, LocalReply, RequestHead, ResponseHead, ResponseStep,
    ResultStep, VerifiedJwt,
};
