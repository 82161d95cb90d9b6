// SPDX-License-Identifier: Apache-2.0
//
// A server whose one object gives and takes its own state (FT::Updateable).
//
//     ledger_server [--no-state] [--no-update] [--refuse-state] [-ORB...]
//
// The object's key is Ledger. --no-state, --no-update, --refuse-state: NoStateAvailable,
// NoUpdateAvailable, InvalidState is raised. Built twice: ledger_server_vector holds
// the same sums in memory of another layout.
#include <pthread.h>
#include <signal.h>

#include <iostream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "ledger.hh"

namespace {

#ifdef LEDGER_VECTOR
// Sums with room for what a later version may want.
class Sums {
 public:
  int64_t& of(const std::string& name) {
    for (Row& row : rows_)
      if (row.name == name) return row.sum;
    rows_.push_back({name, {}, 0});
    return rows_.back().sum;
  }
  void clear() { rows_.clear(); }
  template <typename Each>
  void visit(const Each& each) const {
    std::map<std::string, int64_t> sorted;
    for (const Row& row : rows_) sorted[row.name] = row.sum;
    for (const auto& [name, sum] : sorted) each(name, sum);
  }

 private:
  struct Row {
    std::string name;
    char room[200];
    int64_t sum;
  };
  std::vector<Row> rows_;
};
#else
class Sums {
 public:
  int64_t& of(const std::string& name) { return sums_[name]; }
  void clear() { sums_.clear(); }
  template <typename Each>
  void visit(const Each& each) const {
    for (const auto& [name, sum] : sums_) each(name, sum);
  }

 private:
  std::map<std::string, int64_t> sums_;
};
#endif

FT::State* octets_of(const std::string& text) {
  FT::State_var state = new FT::State;
  state->length(static_cast<CORBA::ULong>(text.size()));
  for (CORBA::ULong i = 0; i < state->length(); ++i)
    state[i] = static_cast<CORBA::Octet>(text[i]);
  return state._retn();
}

// Lines of "SUM NAME". False: it is something else.
bool parse(const FT::State& state, std::map<std::string, int64_t>* sums) {
  std::string text;
  for (CORBA::ULong i = 0; i < state.length(); ++i) text += static_cast<char>(state[i]);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    int64_t sum = 0;
    std::string name;
    if (!(words >> sum >> name)) return false;
    (*sums)[name] = sum;
  }
  return text.empty() || text.back() == '\n';
}

struct Choices {
  bool no_state = false, no_update = false, refuse_state = false;
};

class LedgerServant : public POA_Ledger {
 public:
  explicit LedgerServant(Choices choices) : choices_(choices) {}

  CORBA::LongLong add(const char* name, CORBA::LongLong amount) override {
    const std::lock_guard lock(mutex_);
    changed_.insert(name);
    return sums_.of(name) += amount;
  }
  CORBA::LongLong total() override {
    const std::lock_guard lock(mutex_);
    CORBA::LongLong sum = 0;
    sums_.visit([&](const std::string&, int64_t each) { sum += each; });
    return sum;
  }

  FT::State* get_state() override {
    if (choices_.no_state) throw FT::NoStateAvailable();
    const std::lock_guard lock(mutex_);
    std::ostringstream text;
    sums_.visit([&](const std::string& name, int64_t sum) { text << sum << ' ' << name << '\n'; });
    changed_.clear();
    return octets_of(text.str());
  }
  void set_state(const FT::State& state) override {
    std::map<std::string, int64_t> sums;
    if (choices_.refuse_state || !parse(state, &sums)) throw FT::InvalidState();
    const std::lock_guard lock(mutex_);
    sums_.clear();
    changed_.clear();
    for (const auto& [name, sum] : sums) sums_.of(name) = sum;
  }
  FT::State* get_update() override {
    if (choices_.no_update) throw FT::NoUpdateAvailable();
    const std::lock_guard lock(mutex_);
    std::ostringstream text;
    for (const std::string& name : changed_) text << sums_.of(name) << ' ' << name << '\n';
    changed_.clear();
    return octets_of(text.str());
  }
  void set_update(const FT::State& update) override {
    std::map<std::string, int64_t> sums;
    if (!parse(update, &sums)) throw FT::InvalidUpdate();
    const std::lock_guard lock(mutex_);
    for (const auto& [name, sum] : sums) sums_.of(name) = sum;
  }

 private:
  const Choices choices_;
  std::mutex mutex_;
  Sums sums_;
  std::set<std::string> changed_;  // since the last state or update was given
};

void serve(int argc, char** argv) {
  sigset_t end_signals;
  sigemptyset(&end_signals);
  sigaddset(&end_signals, SIGTERM);
  sigaddset(&end_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &end_signals, nullptr);

  const CORBA::ORB_var orb = CORBA::ORB_init(argc, argv);
  Choices choices;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--no-state") choices.no_state = true;
    else if (word == "--no-update") choices.no_update = true;
    else if (word == "--refuse-state") choices.refuse_state = true;
    else throw std::invalid_argument("unknown argument " + word);
  }
  // Objects in this POA are reached by corbaloc with their object id alone.
  const CORBA::Object_var object = orb->resolve_initial_references("omniINSPOA");
  const PortableServer::POA_var poa = PortableServer::POA::_narrow(object);
  const PortableServer::Servant_var<LedgerServant> ledger = new LedgerServant(choices);
  const PortableServer::ObjectId_var id = PortableServer::string_to_ObjectId("Ledger");
  poa->activate_object_with_id(id, ledger);
  const PortableServer::POAManager_var manager = poa->the_POAManager();
  manager->activate();
  std::thread signal_thread([&] {
    int signal_number = 0;
    sigwait(&end_signals, &signal_number);
    orb->shutdown(false);
  });
  std::cout << "ledger_server ready" << std::endl;
  orb->run();
  signal_thread.join();
  orb->destroy();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    serve(argc, argv);
    return 0;
  } catch (const CORBA::Exception& e) {
    std::cerr << "ledger_server: " << e._name() << '\n';
  } catch (const std::exception& e) {
    std::cerr << "ledger_server: " << e.what() << '\n';
  }
  return 1;
}
