// How often cached pages are used again, learned from what was and what was not.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace souffleur {

/// Hit density after LHD (Beckmann, Chen and Cidon, NSDI 2018): of pages of one class and age, the uses that
/// keeping one will bring, by the time for which it has to be kept. Age is the time since the last use.
///
/// What a class has shown is mixed with what all classes have shown, which depends on age alone, and that
/// with a chance of a use that falls with age: as long as classes do not clearly differ, the oldest page has
/// the least density, as with LRU. Pages of one lookup tell hardly more than one of them, so what counts is
/// how many lookups a class has been seen in.
class hit_density {
public:
  explicit hit_density(int n_classes);

  /// `n_pages` of one class were used again at this age.
  void used(int which, std::uint64_t age, double n_pages) { note(which, age, n_pages, n_pages); }
  /// They had not been used again when they were forgotten.
  void unused(int which, std::uint64_t age, double n_pages) { note(which, age, n_pages, 0); }
  /// From then on, at() takes account of what was noted, by `n_lookups` since the last call.
  void learn(double n_lookups);
  /// Forgets half of what was noted.
  void fade();

  /// Uses per page and unit of age.
  double at(int which, std::uint64_t age) const;
  double n_noted() const { return n_noted_; }

private:
  static constexpr int n_ages = 64; ///< four to each power of two; the last is open
  using by_age = std::array<double, n_ages>;
  struct lives {
    by_age used{}; ///< lives that ended by a use, by the age at that time
    by_age all{};  ///< lives that ended
  };

  static int place_of(std::uint64_t age);
  static double start_of(int place);
  static by_age densities_of(const lives& seen);
  static void add(lives& to, const lives& what, double weight);
  static lives prior();
  void note(int which, std::uint64_t age, double n_ended, double n_used);

  std::vector<lives> noted_; ///< by class
  std::vector<by_age> densities_;
  double n_noted_ = 0;
  double n_lookups_ = 0;
};

} // namespace souffleur
