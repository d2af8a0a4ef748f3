// Real sockets on the loopback device: who gets through, and what survives.
#include "protocol/socket.h"

#include <gtest/gtest.h>

#include <zmq.hpp>

#include "base/file.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kArrives{20};        // a limit that only a failing test reaches
constexpr milliseconds kSilence{700};  // long enough for several attempts to connect

wire::FromCrew heartbeat() {
  wire::FromCrew message;
  message.mutable_heartbeat();
  return message;
}

wire::FromCrew report(int epoch) {
  wire::FromCrew message;
  message.mutable_report()->set_epoch(epoch);
  return message;
}

wire::ToCrew dismiss() {
  wire::ToCrew message;
  message.mutable_dismiss();
  return message;
}

StudyKeys new_keys() {
  const auto folder = TemporaryDirectory::make();
  return make_keys(folder->path()).value();
}

class Socket : public testing::Test {
 protected:
  std::unique_ptr<ServerSocket> bind(const std::string& endpoint = "tcp://127.0.0.1:*") {
    auto server = ServerSocket::bind(endpoint, keys_);
    EXPECT_TRUE(server.ok()) << server.error().message;
    return std::move(server).value();
  }
  std::unique_ptr<ClientSocket> connect(const ServerSocket& server, const std::string& crew = "crew-0") {
    return ClientSocket::connect(server.endpoint(), keys_, crew).value();
  }
  const StudyKeys keys_ = new_keys();
};

TEST_F(Socket, MessagesPassBothWays) {
  const auto server = bind();
  const auto client = connect(*server);
  EXPECT_TRUE(client->send(report(5)));
  const auto received = server->receive(kArrives);
  ASSERT_TRUE(received);
  EXPECT_EQ(received->crew, "crew-0");
  EXPECT_EQ(received->message.report().epoch(), 5);
  EXPECT_TRUE(server->send("crew-0", dismiss()));
  const auto answer = client->receive(kArrives);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->has_dismiss());
}

TEST_F(Socket, EndpointTellsTheRealPort) {
  const auto server = bind();
  EXPECT_EQ(server->endpoint().rfind("tcp://127.0.0.1:", 0), 0U) << server->endpoint();
  EXPECT_EQ(server->endpoint().find('*'), std::string::npos);
}

TEST_F(Socket, ClientOfAnotherStudyGetsNothingThrough) {
  const auto server = bind();
  StudyKeys stolen = new_keys();
  stolen.server_public = keys_.server_public;  // no secret: any peer may know it
  const auto client = ClientSocket::connect(server->endpoint(), stolen, "crew-0");
  ASSERT_TRUE(client.ok());
  (*client)->send(heartbeat());
  EXPECT_FALSE(server->receive(kSilence));
  EXPECT_FALSE(server->send("crew-0", dismiss()));
}

TEST_F(Socket, ClientThatExpectsAnotherServerGetsNothingThrough) {
  const auto server = bind();
  StudyKeys wrong = keys_;
  wrong.server_public = new_keys().server_public;
  const auto client = ClientSocket::connect(server->endpoint(), wrong, "crew-0");
  ASSERT_TRUE(client.ok());
  (*client)->send(heartbeat());
  EXPECT_FALSE(server->receive(kSilence));
}

TEST_F(Socket, PlainClientGetsNothingThrough) {
  const auto server = bind();
  zmq::context_t context;
  zmq::socket_t plain(context, zmq::socket_type::dealer);
  plain.set(zmq::sockopt::linger, 0);
  plain.set(zmq::sockopt::routing_id, "crew-0");
  plain.connect(server->endpoint());
  plain.send(zmq::buffer(heartbeat().SerializeAsString()), zmq::send_flags::dontwait);
  EXPECT_FALSE(server->receive(kSilence));
}

TEST_F(Socket, RightClientGetsThroughWhileWrongOnesKnock) {
  const auto server = bind();
  StudyKeys stolen = new_keys();
  stolen.server_public = keys_.server_public;
  const auto intruder = ClientSocket::connect(server->endpoint(), stolen, "crew-1");
  ASSERT_TRUE(intruder.ok());
  (*intruder)->send(heartbeat());
  const auto client = connect(*server);
  client->send(report(1));
  const auto received = server->receive(kArrives);
  ASSERT_TRUE(received);
  EXPECT_EQ(received->crew, "crew-0");
  EXPECT_FALSE(server->receive(kSilence));
}

// A peer that has the key but speaks another language.
class KeyedPeer {
 public:
  KeyedPeer(const std::string& endpoint, const StudyKeys& keys, const std::string& name)
      : socket_(context_, zmq::socket_type::dealer) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::curve_serverkey, keys.server_public);
    socket_.set(zmq::sockopt::curve_publickey, keys.client_public);
    socket_.set(zmq::sockopt::curve_secretkey, keys.client_secret);
    socket_.set(zmq::sockopt::routing_id, name);
    socket_.connect(endpoint);
  }
  void send(const std::string& bytes, zmq::send_flags flags = zmq::send_flags::none) {
    socket_.send(zmq::buffer(bytes), flags);
  }

 private:
  zmq::context_t context_;
  zmq::socket_t socket_;
};

TEST_F(Socket, BytesThatAreNoMessageAreDroppedAndTheNextMessageArrives) {
  const auto server = bind();
  KeyedPeer peer(server->endpoint(), keys_, "crew-0");
  peer.send("\xff\xff junk");
  peer.send("");
  peer.send(report(1).SerializeAsString(), zmq::send_flags::sndmore);
  peer.send("a second part");
  peer.send(report(2).SerializeAsString());
  const auto received = server->receive(kArrives);
  ASSERT_TRUE(received);
  EXPECT_EQ(received->message.report().epoch(), 2);
}

TEST_F(Socket, PeerWithAnUnfitNameIsNotHeard) {
  const auto server = bind();
  KeyedPeer peer(server->endpoint(), keys_, "crew\n0");
  peer.send(heartbeat().SerializeAsString());
  EXPECT_FALSE(server->receive(kSilence));
}

TEST_F(Socket, MessagesSentWhileTheServerIsAwayArriveAfterItsRestart) {
  auto server = bind();
  const std::string endpoint = server->endpoint();
  const auto client = connect(*server);
  client->send(report(1));
  ASSERT_TRUE(server->receive(kArrives));
  server.reset();
  client->receive(milliseconds(200));  // the connection's end is noticed
  EXPECT_TRUE(client->send(report(2)));
  EXPECT_TRUE(client->send(report(3)));
  server = bind(endpoint);
  for (const int epoch : {2, 3}) {
    const auto received = server->receive(kArrives);
    ASSERT_TRUE(received);
    EXPECT_EQ(received->message.report().epoch(), epoch);
  }
  EXPECT_TRUE(server->send("crew-0", dismiss()));
  EXPECT_TRUE(client->receive(kArrives));
}

TEST_F(Socket, NewConnectionOfACrewTakesItsNameOverAndIsTold) {
  const auto server = bind();
  const auto first = connect(*server);
  first->send(report(1));
  const auto before = server->receive(kArrives);
  const auto second = connect(*server);
  second->send(report(2));
  const auto after = server->receive(kArrives);
  ASSERT_TRUE(before && after);
  EXPECT_EQ(after->crew, before->crew);
  EXPECT_NE(after->connection, before->connection);
  EXPECT_TRUE(server->send("crew-0", dismiss()));
  EXPECT_TRUE(second->receive(kArrives));
}

TEST_F(Socket, SendingToACrewThatIsNotThereIsReported) {
  const auto server = bind();
  EXPECT_FALSE(server->send("nobody", dismiss()));
}

TEST_F(Socket, LastMessagesAreSentAfterTheSocketIsGone) {
  auto server = bind();
  auto client = connect(*server);
  client->send(heartbeat());
  ASSERT_TRUE(server->receive(kArrives));
  for (int epoch = 1; epoch <= 100; ++epoch) {
    client->send(report(epoch));
  }
  server->send("crew-0", dismiss());
  EXPECT_TRUE(client->receive(kArrives));
  client.reset();
  for (int epoch = 1; epoch <= 100; ++epoch) {
    const auto received = server->receive(kArrives);
    ASSERT_TRUE(received);
    EXPECT_EQ(received->message.report().epoch(), epoch);
  }
  client = connect(*server);
  client->send(heartbeat());
  ASSERT_TRUE(server->receive(kArrives));
  server->send("crew-0", dismiss());
  server.reset();
  EXPECT_TRUE(client->receive(kArrives));
}

TEST_F(Socket, FullQueueRefusesInsteadOfWaiting) {
  const auto client = ClientSocket::connect("tcp://127.0.0.1:9", keys_, "crew-0");  // nobody listens there
  ASSERT_TRUE(client.ok());
  int accepted = 0;
  while (accepted < 100'000 && (*client)->send(report(1))) {
    ++accepted;
  }
  EXPECT_GT(accepted, 100);
  EXPECT_LT(accepted, 100'000);
}

TEST_F(Socket, PortThatIsTakenIsAnErrorThatNamesIt) {
  const auto server = bind();
  const auto other = ServerSocket::bind(server->endpoint(), keys_);
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find(server->endpoint()), std::string::npos);
}

}  // namespace
}  // namespace regatta
