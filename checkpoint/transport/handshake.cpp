// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/transport/handshake.h"

#include <errno.h>
#include <sys/random.h>

#include <cstring>
#include <vector>

#include "checkpoint/transport/keyed_digest.h"

namespace auxin::checkpoint {
namespace {

Outcome fill_nonce(uint8_t* nonce) {
  if (getrandom(nonce, kNonceBytes, 0) == static_cast<ssize_t>(kNonceBytes)) return Outcome::ok();
  return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT, "the kernel gives no random bytes");
}

// The two sides prove different things, so that neither can be made to answer for the other.
Digest proof(const char* side, const std::string& secret, const uint8_t* of_server,
             const HelloPayload& hello) {
  std::vector<uint8_t> bytes(side, side + 8);
  bytes.insert(bytes.end(), of_server, of_server + kNonceBytes);
  bytes.insert(bytes.end(), hello.nonce, hello.nonce + kNonceBytes);
  bytes.insert(bytes.end(), hello.name, hello.name + kNameBytes);
  return keyed_digest(secret, bytes);
}

constexpr char kClientSide[] = "client 1", kServerSide[] = "server 1";

}  // namespace

bool is_state_name(const std::string& name) {
  if (name.empty() || name.size() >= kNameBytes || name[0] == '.') return false;
  return name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "._-") == std::string::npos;
}

Outcome greet_server(FrameStream& stream, const std::string& secret, const std::string& name,
                     uint64_t* max_message_bytes) {
  ChallengePayload challenge;
  if (Outcome outcome = stream.read_exactly(FrameKind::kChallenge, &challenge); !outcome) {
    return outcome;
  }
  if (challenge.needs_secret != 0 && secret.empty()) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, "the server wants a secret");
  }
  HelloPayload hello{};
  if (Outcome outcome = fill_nonce(hello.nonce); !outcome) return outcome;
  std::memcpy(hello.name, name.data(), name.size());
  const Digest mine = proof(kClientSide, secret, challenge.nonce, hello);
  if (!secret.empty()) std::memcpy(hello.proof, mine.data(), mine.size());
  if (Outcome outcome = stream.write(FrameKind::kHello, &hello, sizeof(hello)); !outcome) {
    return outcome;
  }
  const Expected<FrameStream::Frame> answer = stream.read();
  if (answer && answer->kind == FrameKind::kResult) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, "the server does not accept this client");
  }
  if (!answer) return answer.outcome();
  WelcomePayload welcome;
  if (answer->kind != FrameKind::kWelcome) return FrameStream::unexpected(*answer);
  if (Outcome outcome = FrameStream::as(*answer, &welcome); !outcome) return outcome;
  if (!secret.empty() &&
      !same_digest(proof(kServerSide, secret, challenge.nonce, hello), welcome.proof)) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, "the server does not know the secret");
  }
  *max_message_bytes = welcome.max_message_bytes;
  return Outcome::ok();
}

Outcome greet_client(FrameStream& stream, const std::string& secret, uint64_t max_message_bytes,
                     std::string* name) {
  ChallengePayload challenge{};
  if (Outcome outcome = fill_nonce(challenge.nonce); !outcome) return outcome;
  challenge.needs_secret = secret.empty() ? 0 : 1;
  if (Outcome outcome = stream.write(FrameKind::kChallenge, &challenge, sizeof(challenge));
      !outcome) {
    return outcome;
  }
  HelloPayload hello;
  if (Outcome outcome = stream.read_exactly(FrameKind::kHello, &hello); !outcome) return outcome;
  hello.name[kNameBytes - 1] = '\0';
  *name = hello.name;
  const bool knows = secret.empty() || same_digest(proof(kClientSide, secret, challenge.nonce,
                                                         hello), hello.proof);
  if (!knows || (!name->empty() && !is_state_name(*name))) {
    const ResultPayload refusal{AUXIN_CHECKPOINT_WRONG_CALL, 0, {}};
    static_cast<void>(stream.write(FrameKind::kResult, &refusal, sizeof(refusal)));
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, knows ? "a client gave a state's name that is none"
                                                      : "a client does not know the secret");
  }
  WelcomePayload welcome{};
  welcome.max_message_bytes = max_message_bytes;
  const Digest mine = proof(kServerSide, secret, challenge.nonce, hello);
  if (!secret.empty()) std::memcpy(welcome.proof, mine.data(), mine.size());
  return stream.write(FrameKind::kWelcome, &welcome, sizeof(welcome));
}

}  // namespace auxin::checkpoint
