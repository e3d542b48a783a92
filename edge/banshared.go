package edge

import "github.com/sallyport/sallyport/edge/ban"

// takeBans takes in what the predecessor tells of bans. Until this process keeps them
// itself, that is how they are; from then on it may add to them.
func (s *Server) takeBans(list []ban.Change) error {
	select {
	case <-s.bans.ours:
		if changed, err := s.bans.keeper.Merge(list, true); err != nil || !changed {
			return err
		}
	default:
		if err := s.bans.keeper.Apply(list); err != nil {
			return err
		}
	}
	s.endBanned()
	return nil
}
