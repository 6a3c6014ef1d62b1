//! Takes an applied deploy request back.

mod handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(shared::planetscale::Connection::from_env(), handler::handle).await
}
