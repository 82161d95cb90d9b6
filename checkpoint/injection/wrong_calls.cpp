// SPDX-License-Identifier: Apache-2.0
//
// Calls that make no sense. Each is detected if it says so.
#include <signal.h>
#include <sys/mman.h>

#include <cstdlib>

#include "auxin/checkpoint.h"
#include "checkpoint/injection/rows.h"

namespace auxin::checkpoint::injection {
namespace {

// What only a process sees that looks at its callers (AUXIN_CHECKPOINT_DETECT_CALLERS).
void add_wrong_pointers(std::vector<Row>* rows) {
  Row row;
  row.where = "wrong pointers, callers looked at";
  const auto expect_refusal = [&](auxin_checkpoint_status status) {
    ++(status == AUXIN_CHECKPOINT_WRONG_CALL ? row.detected : row.missed);
  };
  demand(auxin_checkpoint_detect(AUXIN_CHECKPOINT_DETECT_CALLERS));
  auxin_checkpoint_state* state = nullptr;
  auxin_checkpoint_image* image = nullptr;
  auxin_checkpoint_message* message = nullptr;
  auxin_checkpoint_assembly* assembly = nullptr;
  demand(auxin_checkpoint_state_create(nullptr, &state));
  demand(auxin_checkpoint_image_create(1000, &image));
  demand(auxin_checkpoint_assembly_create(1000, &assembly));
  demand(auxin_checkpoint_capture(state, AUXIN_CHECKPOINT_BASE));
  demand(auxin_checkpoint_take_message(state, &message));
  void* gone = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(gone, 4096);
  auxin_checkpoint_mark mark;
  expect_refusal(auxin_checkpoint_add_range(state, 1, gone, 4096));
  expect_refusal(auxin_checkpoint_add_object(state, 1, gone, 8, &mark));
  expect_refusal(auxin_checkpoint_image_apply(
      image, reinterpret_cast<const auxin_checkpoint_message*>(image)));
  expect_refusal(auxin_checkpoint_capture(
      reinterpret_cast<auxin_checkpoint_state*>(message), AUXIN_CHECKPOINT_BASE));
  expect_refusal(auxin_checkpoint_store_put(
      reinterpret_cast<auxin_checkpoint_store*>(assembly), message));
  expect_refusal(auxin_checkpoint_save(state, nullptr));
  expect_refusal(auxin_checkpoint_image_check(nullptr));
  auxin_checkpoint_message_free(message);
  auxin_checkpoint_image_destroy(image);
  auxin_checkpoint_assembly_destroy(assembly);
  auxin_checkpoint_state_destroy(state);
  expect_refusal(auxin_checkpoint_capture(state, AUXIN_CHECKPOINT_BASE));
  expect_refusal(auxin_checkpoint_take_message(state, &message));
  expect_refusal(auxin_checkpoint_request_done(state));
  expect_refusal(auxin_checkpoint_message_send(message, 1));
  expect_refusal(auxin_checkpoint_image_check(image));
  expect_refusal(auxin_checkpoint_assembly_take(assembly, &message));
  demand(auxin_checkpoint_detect(0));
  rows->push_back(row);
}

}  // namespace

void add_wrong_calls(const std::string& directory, std::vector<Row>* rows) {
  Row row;
  row.where = "wrong calls";
  const auto expect = [&](auxin_checkpoint_status status, auxin_checkpoint_status right) {
    ++(status == right ? row.detected : row.missed);
  };
  auxin_checkpoint_state* state = nullptr;
  auxin_checkpoint_store* store = nullptr;
  auxin_checkpoint_message* message = nullptr;
  auxin_checkpoint_receiver* receiver = nullptr;
  auxin_checkpoint_options options = AUXIN_CHECKPOINT_OPTIONS;
  options.size_bytes = 1;
  char memory[100];
  expect(auxin_checkpoint_state_create(&options, &state), AUXIN_CHECKPOINT_WRONG_CALL);
  options = AUXIN_CHECKPOINT_OPTIONS;
  options.method = 99;
  expect(auxin_checkpoint_state_create(&options, &state), AUXIN_CHECKPOINT_WRONG_CALL);
  options.method = AUXIN_CHECKPOINT_FULL;
  if (auxin_checkpoint_state_create(&options, &state) != AUXIN_CHECKPOINT_OK) std::abort();
  expect(auxin_checkpoint_add_range(state, 1, memory, 0), AUXIN_CHECKPOINT_WRONG_CALL);
  if (auxin_checkpoint_add_range(state, 1, memory, 100) != AUXIN_CHECKPOINT_OK) std::abort();
  expect(auxin_checkpoint_add_range(state, 1, memory, 100), AUXIN_CHECKPOINT_OVERLAP);
  expect(auxin_checkpoint_add_range(state, 2, memory + 50, 10), AUXIN_CHECKPOINT_OVERLAP);
  expect(auxin_checkpoint_remove(state, 9), AUXIN_CHECKPOINT_UNKNOWN);
  expect(auxin_checkpoint_take_message(state, &message), AUXIN_CHECKPOINT_WRONG_CALL);
  if (auxin_checkpoint_capture(state, AUXIN_CHECKPOINT_BASE) != AUXIN_CHECKPOINT_OK) std::abort();
  expect(auxin_checkpoint_capture(state, AUXIN_CHECKPOINT_BASE), AUXIN_CHECKPOINT_BUSY);
  expect(auxin_checkpoint_remove(state, 1), AUXIN_CHECKPOINT_BUSY);
  expect(auxin_checkpoint_schedule(state, nullptr, 1, 0), AUXIN_CHECKPOINT_WRONG_CALL);
  const std::string wrong = "tcp:0.0.0.0:0", none = "unix:" + directory + "/none";
  expect(auxin_checkpoint_receiver_open(wrong.c_str(), nullptr, &receiver),
         AUXIN_CHECKPOINT_WRONG_CALL);
  expect(auxin_checkpoint_store_open_remote(none.c_str(), "../x", nullptr, &store),
         AUXIN_CHECKPOINT_WRONG_CALL);
  expect(auxin_checkpoint_log_signal(SIGKILL), AUXIN_CHECKPOINT_WRONG_CALL);
  expect(auxin_checkpoint_add_range(state, 3, memory, UINT64_MAX), AUXIN_CHECKPOINT_BUSY);
  auxin_checkpoint_abandon(state);
  expect(auxin_checkpoint_add_range(state, 3, memory, UINT64_MAX), AUXIN_CHECKPOINT_WRONG_CALL);
  expect(auxin_checkpoint_resize(state, 9, memory, 10), AUXIN_CHECKPOINT_UNKNOWN);
  expect(auxin_checkpoint_message_of_bytes(memory, sizeof memory, &message),
         AUXIN_CHECKPOINT_MALFORMED);
  expect(auxin_checkpoint_detect(1u << 30), AUXIN_CHECKPOINT_WRONG_CALL);
  expect(auxin_checkpoint_log_to(nullptr, nullptr), AUXIN_CHECKPOINT_WRONG_CALL);
  expect(auxin_checkpoint_log_to_descriptor(-1), AUXIN_CHECKPOINT_WRONG_CALL);
  auxin_checkpoint_state_destroy(state);
  rows->push_back(row);
  add_wrong_pointers(rows);
}

}  // namespace auxin::checkpoint::injection
