// How a token is drawn from a row's logits, where that is all that is asked of them.
#pragma once

namespace souffleur {

/// The stages of next_token_distribution() that are left of it without bias, penalties, forbidden tokens or a
/// grammar, and the coin that is thrown then. Temperature 0: the most likely token.
struct token_draw {
  double uniform = 0.5; ///< in (0, 1)
  float temperature = 0;
  int top_k = 0; ///< 0 is off
  float top_p = 1;
  float min_p = 0;
};

} // namespace souffleur
