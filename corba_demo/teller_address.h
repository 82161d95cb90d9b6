// SPDX-License-Identifier: Apache-2.0
//
// From what a user types to a reference to the Teller. Stateless.
#pragma once

#include <string>

#include "bank.hh"

namespace bank {

// HOST:PORT, corbaloc::HOST:PORT/Bank, an IOR, or anything else that string_to_object takes.
// A corbaloc without a version means GIOP 1.0, and an ORB uses one connection for each version; as
// accounts are reached by 1.2, the Teller is made to be as well: "corbaloc::1.2@HOST:PORT/Bank".
std::string teller_uri(const std::string& address);

// Throws CORBA exceptions, and std::runtime_error if the object there is no Teller.
Bank::Teller_ptr find_teller(CORBA::ORB_ptr orb, const std::string& address);

}  // namespace bank
