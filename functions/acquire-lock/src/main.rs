//! Takes the environment's lock, waits for it, or steps aside.

mod handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(handler::Context::from_env(), handler::handle).await
}
